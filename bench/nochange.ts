import { JobBucket } from '../src/backup/job-bucket.ts';
import { claimName, fileKey, filesFolder } from '../src/layout/keys.ts';
import { compareUtf8 } from '../src/layout/order.ts';
import type { Entry } from '../src/layout/types.ts';
import type { BucketAccess, ObjectStore } from '../src/storage/port.ts';
import { ensureBucket, openS3Store } from '../src/storage/s3.ts';
import { figureOf, interleave, type Bench } from './figures.ts';
import { Installation, type BenchJob } from './installation.ts';
import { plainChecksumSync } from './plain-rclone.ts';
import { writeCommitted } from './points.ts';
import type { BenchServer } from './servers.ts';
import { startStore } from './store.ts';
import { nameOf } from './trees.ts';

const FILES = 100_000;
const PUTS_AT_ONCE = 32;
const RUN = '01900000-0000-7000-8000-000000000001';
const CLAIM = claimName(1, Buffer.from('c0ffee00', 'hex'));

/**
 * A whole run over a source in which nothing has changed, beside `rclone sync` with the flags that suit it best, to the same folder: what
 * the sync has copied there once is what the job's point refers to. Both buckets lie on SeaweedFS, which keeps small files beside their
 * names: what is read here is listings.
 */
export const nochangeBench: Bench = {
  figures: ['nochange_ratio'],
  async run(options) {
    const files = Math.ceil(FILES * options.scale);
    const store = await startStore({ flags: ['-filer.saveToFilerLimit=4096'] });
    const source: BucketAccess = { ...store.access, bucket: 'source' };
    const installation = await Installation.start({ source: { ...store, access: source }, destination: store });
    try {
      await ensureBucket(source);
      await fill(openS3Store(source), files);
      const job = await installation.newJob();
      const target = `${job.prefix}/${filesFolder(RUN, CLAIM).slice(0, -1)}`;
      const sync = async (): Promise<number> => await plainChecksumSync(source, store.access, target);
      options.say(`nochange: the first sync of ${files} files took ${(await sync()).toFixed(0)} s`);
      await writePoint(installation, store, { job, source });
      const run = async (): Promise<number> => {
        const { seconds, filesCopied } = await installation.run(job);
        if (filesCopied !== 0) throw new Error(`${filesCopied} files were copied`);
        return seconds;
      };
      const { a, b } = await interleave(options, `nothing changed in ${files} files`, run, sync);
      const ratios = a.map((ours, pair) => ours / (b[pair] ?? NaN));
      return [figureOf('nochange_ratio', ratios, { unit: '× rclone sync --checksum', limit: 0.8, better: 'lower' })];
    } finally {
      await installation.stop();
      await store.stop();
    }
  },
};

async function fill(store: ObjectStore, files: number): Promise<void> {
  let next = 0;
  const put = async (): Promise<void> => {
    for (let index = next++; index < files; index = next++)
      await store.put(nameOf(index), Buffer.from(`file ${index}`));
  };
  await Promise.all(Array.from({ length: PUTS_AT_ONCE }, put));
}

/** The point that a run would have made of what lies there. */
async function writePoint(
  installation: Installation,
  destination: BenchServer,
  { job, source }: { job: BenchJob; source: BucketAccess },
): Promise<void> {
  const entries: Entry[] = [];
  for await (const { key, size, md5, lastModified } of openS3Store(source).list('')) {
    const mtime = new Date(lastModified).toISOString().replace(/\.?0+Z$/, 'Z');
    const hash = md5 === null ? null : `md5:${md5}`;
    entries.push({ path: key, size, mtime, hash, key: fileKey(RUN, CLAIM, key), state: 'stored' });
  }
  entries.sort((a, b) => compareUtf8(a.path, b.path));
  installation.own(job);
  const bucket = new JobBucket(openS3Store(destination.near), `${job.prefix}/`, new AbortController().signal);
  const place = { job: job.id, run: RUN, claim: CLAIM, generation: 1, sourceType: 's3_compatible' };
  await writeCommitted(bucket, { ...place, entries });
  await installation.reindex(job);
}

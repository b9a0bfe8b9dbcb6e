import { setTimeout as delay } from 'node:timers/promises';
import { JobBucket } from '../src/backup/job-bucket.ts';
import { claimName, fileKey } from '../src/layout/keys.ts';
import type { Entry } from '../src/layout/types.ts';
import { openS3Store } from '../src/storage/s3.ts';
import type { Bench } from './figures.ts';
import { Installation } from './installation.ts';
import { madeUpObject, startMadeUpBucket } from './made-up-bucket.ts';
import { writeCommitted } from './points.ts';
import { startServer, type BenchServer } from './servers.ts';

const FILES = 1_000_000;
const LOOK_EVERY_MS = 50;
const RUN = '01900000-0000-7000-8000-000000000001';
const CLAIM = claimName(1, Buffer.from('c0ffee00', 'hex'));

/** Memory of the worker and all that it starts, while it compares a source of a million files with a point that has the same. */
export const millionBench: Bench = {
  figures: ['million_nochange_mb'],
  async run({ scale, say }) {
    const files = Math.ceil(FILES * scale);
    const source = await startMadeUpBucket(files);
    const destination = await startServer();
    const installation = await Installation.start({ source: listedOnly(source.access), destination });
    try {
      const job = await installation.newJob();
      installation.own(job);
      const bucket = new JobBucket(openS3Store(destination.near), `${job.prefix}/`, new AbortController().signal);
      const place = { job: job.id, run: RUN, claim: CLAIM, generation: 1, sourceType: 's3_compatible' };
      await writeCommitted(bucket, { ...place, entries: entries(files) });
      await installation.reindex(job);
      const memory = watched(installation);
      const { seconds, filesCopied } = await installation.run(job);
      const peak = await memory.peak();
      if (filesCopied !== 0) throw new Error(`${filesCopied} files were copied`);
      say(`million: ${files} files were compared in ${seconds.toFixed(1)} s`);
      return [{ name: 'million_nochange_mb', value: peak / 1e6, unit: 'MB', limit: 400, better: 'lower' }];
    } finally {
      await installation.stop();
      await destination.stop();
      source.stop();
    }
  },
};

function* entries(files: number): Generator<Entry> {
  for (let index = 0; index < files; index += 1) {
    const { key, size, md5, mtime } = madeUpObject(index);
    const path = key.replace('%20', ' ');
    yield {
      ...{ path, size, mtime: mtime.replace('.000Z', 'Z'), hash: `md5:${md5}` },
      key: fileKey(RUN, CLAIM, path),
      state: 'stored',
    };
  }
}

function listedOnly(access: BenchServer['access']): BenchServer {
  const never = async (): Promise<void> => Promise.reject(new Error('this bucket can be listed only'));
  return { access, near: access, setDelay: never, discard: never, stop: never };
}

/** Looks again and again, until it is asked for the largest sum. */
function watched(installation: Installation): { peak(): Promise<number> } {
  let peak = 0;
  let over = false;
  const looking = (async () => {
    for (; !over; await delay(LOOK_EVERY_MS)) peak = Math.max(peak, installation.residentBytes());
  })();
  return {
    async peak() {
      over = true;
      await looking;
      return peak;
    },
  };
}

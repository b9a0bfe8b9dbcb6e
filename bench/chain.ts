import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { JobBucket } from '../src/backup/job-bucket.ts';
import type { PointSource } from '../src/backup/point-reader.ts';
import { compressChunk, cutChunks } from '../src/layout/chunks.ts';
import { chunkKey, claimName, fileKey, manifestKey } from '../src/layout/keys.ts';
import { macKeysOf } from '../src/layout/mac.ts';
import { manifestBytes } from '../src/layout/manifest.ts';
import { compareUtf8 } from '../src/layout/order.ts';
import type { ChunkRef, Entry } from '../src/layout/types.ts';
import { openS3Store } from '../src/storage/s3.ts';
import { figureOf, interleave, type Bench, type Figure } from './figures.ts';
import { plainFetch } from './plain-rclone.ts';
import { restoreSeconds } from './restore.ts';
import { startServer } from './servers.ts';
import { mixedSize, nameOf, noise } from './trees.ts';

const FILES = 10_000;
const RUNS = 200;
/** In each direction, as where other restores are measured. */
const DELAY_MS = 10;
const JOB = '01900000-0000-7000-8000-00000000c0de';
const KEYS = macKeysOf([{ keyId: '0123abcd', secret: 'a secret of the benchmark' }]);
const PREFIX = 'job/';
const ONE_FOLDER = 'plain';

/** A point whose files many runs have stored, a few each, restored over a distance, beside `rclone copy` of the same files from one folder. */
export const chainBench: Bench = {
  figures: ['chain_restore_ratio'],
  async run(options): Promise<Figure[]> {
    const files = Math.ceil(FILES * options.scale);
    let place: Place | null = null;
    const server = await startServer({ distant: true, fill: (folder) => (place = writeObjects(folder, files)) });
    try {
      if (place === null) throw new Error('nothing was written');
      const { run, claim, entries } = place as Place;
      const near: PointSource = {
        bucket: new JobBucket(openS3Store(server.near), PREFIX, new AbortController().signal),
        job: JOB,
        keys: KEYS,
      };
      await writePoint(near.bucket, { run, claim, entries });
      await server.setDelay(DELAY_MS);
      const signal = new AbortController().signal;
      const source = { ...near, bucket: new JobBucket(openS3Store(server.access), PREFIX, signal) };
      const { a, b } = await interleave(
        options,
        `restore from ${RUNS} runs`,
        async () => await restoreSeconds({ source, place: { run, claim }, access: server.access, signal, files }),
        async () => await plainFetch(server.access, ONE_FOLDER),
      );
      const ratios = a.map((ours, pair) => ours / (b[pair] ?? NaN));
      return [figureOf('chain_restore_ratio', ratios, { unit: '× rclone copy', limit: 1.5, better: 'lower' })];
    } finally {
      await server.stop();
    }
  },
};

interface Place {
  readonly run: string;
  readonly claim: string;
  readonly entries: readonly Entry[];
}

/** The same files twice: in one folder, and where runs of a job would have put them. */
function writeObjects(folder: string, files: number): Place {
  const runs = Array.from({ length: RUNS }, (_, i) => `01900000-0000-7000-8000-${String(i + 1).padStart(12, '0')}`);
  const claim = claimName(1, Buffer.from('c0ffee00', 'hex'));
  const entries: Entry[] = [];
  for (let index = 0; index < files; index += 1) {
    const path = nameOf(index);
    const body = noise(index, mixedSize(index));
    const key = fileKey(runs[index % RUNS] ?? '', claim, path);
    for (const file of [join(folder, ONE_FOLDER, path), join(folder, PREFIX, key)]) {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, body);
    }
    const hash = `md5:${createHash('md5').update(body).digest('hex')}`;
    entries.push({ path, size: body.length, mtime: '2025-01-01T00:00:00Z', hash, key, state: 'stored' });
  }
  entries.sort((a, b) => compareUtf8(a.path, b.path));
  return { run: runs.at(-1) ?? '', claim, entries };
}

async function writePoint(bucket: JobBucket, { run, claim, entries }: Place): Promise<void> {
  const chunks: ChunkRef[] = [];
  for await (const chunk of cutChunks(each(entries))) {
    const key = chunkKey(chunk.hash, run, claim);
    chunks.push({ key, first_path: chunk.firstPath, entries: chunk.entries });
    await bucket.put(key, compressChunk(chunk));
  }
  const counts = { files: entries.length, stored: entries.length, carried: 0, failed: 0 };
  const bytes = entries.reduce((sum, { size }) => sum + size, 0);
  const content = { ...counts, bytes, complete: true, frozen: false, source_type: 'sftp', chunks };
  const head = { format: 1, job: JOB, run, claim, generation: RUNS, parent: null } as const;
  const body = manifestBytes({ ...head, created_at: '2025-01-01T00:00:00.000Z', ...content }, KEYS);
  await bucket.put(manifestKey(run, claim), body);
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

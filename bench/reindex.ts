import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { JobBucket } from '../src/backup/job-bucket.ts';
import { claimName, fileKey } from '../src/layout/keys.ts';
import type { ChunkRef, Entry } from '../src/layout/types.ts';
import { openS3Store } from '../src/storage/s3.ts';
import { figureOf, type Bench } from './figures.ts';
import { Installation, type BenchJob } from './installation.ts';
import { writeCommitted } from './points.ts';
import { startServer } from './servers.ts';
import { nameOf } from './trees.ts';

const POINTS = 500;
const FILES = 10_000;
/** Of each run. */
const CHANGED = 20;
const TIMES = 5;
const CLAIM = claimName(1, Buffer.from('c0ffee00', 'hex'));

/** The whole command over a job with many points, its start included; nothing is there yet of them in the database the first time. */
export const reindexBench: Bench = {
  figures: ['reindex_points_per_second'],
  async run({ scale, pairs, say }) {
    const points = Math.ceil(POINTS * scale);
    let folder = '';
    const server = await startServer({ fill: (bucket) => (folder = bucket) });
    // No run reads it; a job cannot have its own destination for its source.
    const elsewhere = { ...server, access: { ...server.access, bucket: 'elsewhere' } };
    const installation = await Installation.start({ source: elsewhere, destination: server });
    try {
      const job = await installation.newJob();
      await writePoints(job, new JobBucket(openS3Store(server.near), `${job.prefix}/`, new AbortController().signal), {
        points,
        folder: join(folder, job.prefix),
      });
      installation.own(job);
      const speeds: number[] = [];
      for (let time = 0; time < (pairs ?? TIMES); time += 1) speeds.push(points / (await installation.reindex(job)));
      say(`reindex: ${speeds.map((speed) => speed.toFixed(0)).join(', ')} points/s, the first into an empty table`);
      return [figureOf('reindex_points_per_second', speeds, { unit: 'points/s', limit: 0, better: 'higher' })];
    } finally {
      await installation.stop();
      await server.stop();
    }
  },
};

/** Runs of which each changed a few files of the one before. Objects are written before the server has looked at their folders. */
async function writePoints(job: BenchJob, bucket: JobBucket, about: { points: number; folder: string }): Promise<void> {
  const entries: Entry[] = [];
  let shared: Map<string, ChunkRef> | undefined;
  for (let point = 0; point < about.points; point += 1) {
    const run = `01900000-0000-7000-8000-${point.toString(16).padStart(12, '0')}`;
    const changed = point === 0 ? FILES : CHANGED;
    for (let i = 0; i < changed; i += 1) {
      const index = (point * CHANGED + i) % FILES;
      const path = nameOf(index);
      const key = fileKey(run, CLAIM, path);
      const mtime = new Date(1_700_000_000_000 + point * 3_600_000).toISOString().replace('.000Z', 'Z');
      entries[index] = { path, size: 1, mtime, hash: null, key, state: 'stored' };
      const file = join(about.folder, key);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, '.');
    }
    const place = { job: job.id, run, claim: CLAIM, generation: point + 1, sourceType: 's3_compatible' };
    shared = await writeCommitted(bucket, { ...place, entries, ...(shared === undefined ? {} : { shared }) });
  }
}

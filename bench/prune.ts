import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { prune } from '../src/backup/prune.ts';
import { sha256, compressChunk, cutChunks } from '../src/layout/chunks.ts';
import type { PointView } from '../src/layout/explain.ts';
import { chunkKey, fileKey, manifestKey, okKey, OWNER_KEY } from '../src/layout/keys.ts';
import { macKeysOf } from '../src/layout/mac.ts';
import { manifestBytes } from '../src/layout/manifest.ts';
import { ownerBytes } from '../src/layout/owner.ts';
import type { ChunkRef, Entry } from '../src/layout/types.ts';
import type { BucketAccess, ObjectStore } from '../src/storage/port.ts';
import { ensureBucket, openS3Store } from '../src/storage/s3.ts';
import { startSeaweedFs } from '../test/servers/seaweedfs.ts';
import { figureOf, interleave, seconds, type Bench } from './figures.ts';
import { plainDelete } from './plain-rclone.ts';
import { benchFolder } from './servers.ts';

const OBJECTS = 20_000;
const POINTS = 50;
const PUTS_AT_ONCE = 16;
const JOB = '0190bbbb-0000-7000-8000-000000000001';
const KEYS = macKeysOf([{ keyId: '0123abcd', secret: 'a secret of the bench' }]);
const OWNER = { installation: 'bench', database: 'bench', acceptedDatabases: [] };
const BODY = Buffer.alloc(1_024, 'some content ');

/** Points of which each has its own objects go, one more stays: our objects a second against those of `rclone delete`. */
export const pruneBench: Bench = {
  figures: ['prune_ratio'],
  async run(options) {
    const objects = Math.max(POINTS, Math.round(OBJECTS * options.scale));
    const server = await startSeaweedFs();
    try {
      const access = server.access('bucket');
      await ensureBucket(access);
      const ours = async (): Promise<number> => await pruned(openS3Store(access), objects);
      const plain = async (): Promise<number> => await deletedPlainly(access, objects);
      const { a, b } = await interleave(options, `prune of ${objects} objects`, ours, plain);
      const ratios = a.map((own, i) => (b[i] ?? NaN) / own);
      return [figureOf('prune_ratio', ratios, { unit: 'objects/s ÷ rclone delete', limit: 0.8, better: 'higher' })];
    } finally {
      await server.stop();
    }
  },
};

async function deletedPlainly(access: BucketAccess, objects: number): Promise<number> {
  const keys = Array.from({ length: objects }, (_, i) => `plain/${i % POINTS}/files/${i}`);
  await putAll(openS3Store(access), keys);
  return await plainDelete(access, 'plain');
}

/** Seconds of a whole prune: marker, index, reading, marking, listing, deleting. */
async function pruned(store: ObjectStore, objects: number): Promise<number> {
  const prefix = `job-${process.hrtime.bigint()}/`;
  await store.put(prefix + OWNER_KEY, ownerBytes({ ...OWNER, job: JOB }, KEYS));
  const points: PointView[] = [];
  for (let i = 0; i <= POINTS; i += 1)
    points.push(await writePoint(store, prefix, i, i === POINTS ? 1 : objects / POINTS));
  const workFolder = mkdtempSync(join(benchFolder(), 'prune-'));
  try {
    let done = 0;
    const took = await seconds(async () => {
      const report = await prune({
        job: { uuid: JOB, prefix },
        wholeData: false,
        owner: OWNER,
        store,
        keys: KEYS,
        workFolder,
        ledger: ledgerOf(points),
      });
      done = report.freed.objects;
    });
    if (done !== Math.round(objects / POINTS) * POINTS) throw new Error(`${done} objects were deleted of ${objects}`);
    return took;
  } finally {
    rmSync(workFolder, { recursive: true, force: true });
  }
}

async function writePoint(store: ObjectStore, prefix: string, number: number, files: number): Promise<PointView> {
  const run = `0190aaaa-0000-7000-8000-${number.toString(16).padStart(12, '0')}`;
  const claim = 'c1-00000000';
  const paths = Array.from({ length: Math.round(files) }, (_, i) => `file-${String(i).padStart(6, '0')}`);
  await putAll(
    store,
    paths.map((path) => prefix + fileKey(run, claim, path)),
  );
  const entries = paths.map((path): Entry => ({
    path,
    size: BODY.length,
    mtime: '2026-01-02T03:04:05Z',
    hash: null,
    key: fileKey(run, claim, path),
    state: 'stored',
  }));
  const chunks: ChunkRef[] = [];
  for await (const chunk of cutChunks(entries)) {
    const key = chunkKey(chunk.hash, run, claim);
    chunks.push({ key, first_path: chunk.firstPath, entries: chunk.entries });
    await store.put(prefix + key, compressChunk(chunk));
  }
  const counts = {
    files: entries.length,
    bytes: entries.length * BODY.length,
    stored: entries.length,
    carried: 0,
    failed: 0,
  };
  const body = manifestBytes(
    {
      format: 1,
      job: JOB,
      run,
      claim,
      generation: number + 1,
      parent: null,
      created_at: '2026-01-02T03:04:05.000Z',
      source_type: 's3_compatible',
      complete: true,
      frozen: false,
      ...counts,
      chunks,
    },
    KEYS,
  );
  const key = manifestKey(run, claim);
  await store.put(prefix + key, body);
  await store.put(prefix + okKey(run, claim), Buffer.alloc(0));
  return {
    point: run,
    run,
    claim,
    generation: number + 1,
    state: 'kept',
    complete: true,
    manifestKey: key,
    manifestSha256: sha256(body),
  };
}

/** A database that answers at once: all points but the last go. */
function ledgerOf(points: readonly PointView[]): Parameters<typeof prune>[0]['ledger'] {
  const going = points.slice(0, -1);
  const never = new AbortController().signal;
  return {
    signal: never,
    yieldSignal: never,
    view: async () => ({
      points,
      runs: new Map(points.map(({ run }) => [run, { run, claim: 1, terminal: true, hadPoint: true }])),
    }),
    plan: async () => ({ remove: going, unmark: [] }),
    mark: async (marked) => marked,
    unmark: async () => undefined,
    confirm: async (confirmed) => confirmed,
    finish: async () => undefined,
    adopt: async () => 'known',
    heartbeatConfirmed: () => true,
    progress: () => undefined,
    event: () => undefined,
  };
}

async function putAll(store: ObjectStore, keys: readonly string[]): Promise<void> {
  const waiting = [...keys];
  const next = async (): Promise<void> => {
    for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) await store.put(key, BODY);
  };
  await Promise.all(Array.from({ length: PUTS_AT_ONCE }, next));
}

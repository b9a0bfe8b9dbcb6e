import { createHash } from 'node:crypto';
import { Budget } from '../src/browse/budget.ts';
import { openFolder } from '../src/browse/folder.ts';
import { PointLibrary, type PointPlace } from '../src/browse/library.ts';
import { searchPoint } from '../src/browse/search.ts';
import { compressChunk, cutChunks } from '../src/layout/chunks.ts';
import { chunkKey, fileKey, manifestKey } from '../src/layout/keys.ts';
import { macKeysOf } from '../src/layout/mac.ts';
import { manifestBytes } from '../src/layout/manifest.ts';
import type { ChunkRef, Entry } from '../src/layout/types.ts';
import { optionFields } from '../src/options.ts';
import { openS3Store } from '../src/storage/s3.ts';
import type { Bench, Figure } from './figures.ts';
import { startServer } from './servers.ts';

const FILES = 1_000_000;
const OPENINGS = 400;
const SEARCHES = 60;
const ROWS = 100;
const RUN = '0190aaaa-0000-7000-8000-000000000001';
const JOB = '0190bbbb-0000-7000-8000-000000000002';
const CLAIM = 'c1-00ff00ff';
const PREFIX = 'backups/';

/**
 * A point of a million files on `rclone serve s3`, read as the portal reads it: opening folders of all sizes (the top, folders of a hundred files, one of a
 * fifth of all) and finding a name. Warm: each folder's chunks were read before, as in a portal that somebody uses; the cache has its
 * default size. What the first, cold look costs is told beside it.
 */
export const browseBench: Bench = {
  figures: ['browse_folder_ms', 'browse_search_ms'],
  async run({ wanted, scale, say }) {
    const files = Math.ceil(FILES * scale);
    const server = await startServer();
    try {
      const store = openS3Store(server.access);
      const place = await writePoint(store, files);
      const library = new PointLibrary(optionFields.browseCacheBytes.schema.parse(undefined));
      const point = async (): ReturnType<PointLibrary['open']> => await library.open(place);
      const cold = performance.now();
      await openFolder(await point(), '', { limit: ROWS, budget: new Budget(60_000) });
      say(`browse: the first look at the top folder took ${(performance.now() - cold).toFixed(0)} ms`);
      const filling = performance.now();
      await searchPoint(await point(), 'nothing has this name', {
        folder: '',
        limit: ROWS,
        budget: new Budget(600_000),
      });
      say(
        `browse: the first search took ${(performance.now() - filling).toFixed(0)} ms, kept ${(library.bytes / 2 ** 20).toFixed(0)} MiB`,
      );
      const figures: Figure[] = [];
      if (wanted('browse_folder_ms')) {
        const folders = Array.from({ length: OPENINGS }, (_, i) => folderToOpen(i, files));
        const times = await timed(folders, async (folder) => {
          await openFolder(await point(), folder, { limit: ROWS, budget: new Budget(60_000) });
        });
        figures.push(percentile('browse_folder_ms', times, 100));
      }
      if (wanted('browse_search_ms')) {
        const names = Array.from({ length: SEARCHES }, (_, i) => `IMG-${String(random(i, files)).padStart(7, '0')}`);
        const times = await timed(names, async (name) => {
          const page = await searchPoint(await point(), name, { folder: '', limit: ROWS, budget: new Budget(60_000) });
          if (page.found.length === 0 || page.next !== null) throw new Error(`${name} was not found by one search`);
        });
        figures.push(percentile('browse_search_ms', times, 1_000));
      }
      return figures;
    } finally {
      await server.stop();
    }
  },
};

/** Four fifths in folders of a hundred, in folders of a hundred; one fifth in one folder. */
function pathOf(i: number, files: number): string {
  const name = `img-${String(i).padStart(7, '0')}.jpeg`;
  if (i >= files * 0.8) return `camera roll/${name}`;
  return `photos/${String(Math.floor(i / 10_000)).padStart(4, '0')}/album ${String(Math.floor(i / 100)).padStart(6, '0')}/${name}`;
}

function folderToOpen(i: number, files: number): string {
  if (i % 20 === 0) return ['', 'photos', 'camera roll', 'photos/0000'][(i / 20) % 4] ?? '';
  return pathOf(random(i, Math.floor(files * 0.8)), files)
    .split('/')
    .slice(0, -1)
    .join('/');
}

/** The same numbers in every run. */
function random(seed: number, below: number): number {
  return createHash('md5').update(`browse ${seed}`).digest().readUInt32BE() % below;
}

async function writePoint(store: ReturnType<typeof openS3Store>, files: number): Promise<PointPlace> {
  const chunks: ChunkRef[] = [];
  let bytes = 0;
  for await (const chunk of cutChunks(entries(files))) {
    const key = chunkKey(chunk.hash, RUN, CLAIM);
    await store.put(PREFIX + key, compressChunk(chunk));
    chunks.push({ key, first_path: chunk.firstPath, entries: chunk.entries });
    bytes += chunk.entries * 1_000;
  }
  const keys = macKeysOf([{ keyId: '0123abcd', secret: 'a secret of the benchmark' }]);
  const body = manifestBytes(
    {
      format: 1,
      job: JOB,
      run: RUN,
      claim: CLAIM,
      generation: 1,
      parent: null,
      created_at: '2026-01-02T03:04:05.678Z',
      source_type: 'sftp',
      complete: true,
      frozen: false,
      files,
      bytes,
      stored: files,
      carried: 0,
      failed: 0,
      chunks,
    },
    keys,
  );
  await store.put(PREFIX + manifestKey(RUN, CLAIM), body);
  const manifestSha256 = createHash('sha256').update(body).digest('hex');
  return { store, prefix: PREFIX, job: JOB, keys, run: RUN, claim: CLAIM, manifestSha256 };
}

function* entries(files: number): Generator<Entry> {
  // "camera roll" sorts before "photos".
  const flat = Math.ceil(files * 0.8);
  for (let i = flat; i < files; i += 1) yield entryOf(pathOf(i, files));
  for (let i = 0; i < flat; i += 1) yield entryOf(pathOf(i, files));
}

function entryOf(path: string): Entry {
  const hash = `md5:${createHash('md5').update(path).digest('hex')}`;
  return {
    path,
    size: 1_000,
    mtime: '2026-01-02T03:04:05.678Z',
    hash,
    key: fileKey(RUN, CLAIM, path),
    state: 'stored',
  };
}

async function timed<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<number[]> {
  const times: number[] = [];
  for (const item of items) {
    const start = performance.now();
    await work(item);
    times.push(performance.now() - start);
  }
  return times;
}

function percentile(name: string, times: readonly number[], limit: number): Figure {
  const sorted = [...times].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.95))] ?? NaN;
  return {
    name,
    value,
    unit: 'ms, p95 of a warm portal',
    limit,
    better: 'lower',
    spread: [sorted[0] ?? NaN, sorted.at(-1) ?? NaN],
  };
}

import { isBackupError } from '../errors/backup-error.ts';
import { CHUNKS_FOLDER } from '../layout/keys.ts';
import { compareUtf8 } from '../layout/order.ts';
import type { ChunkRef, Entry, Manifest } from '../layout/types.ts';
import { readEntries, type PointSource } from './point-reader.ts';
import { mapParallel } from './task-pool.ts';

/** Chunks that are read at once. */
const CHUNKS_AT_ONCE = 8;

/** Numbers from 0 up to 1, as `Math.random` gives them. */
export type RandomSource = () => number;

/** A chunk that is missing or altered: what lies in it is unknown. */
export interface BrokenChunk {
  readonly key: string;
  readonly reason: string;
}

/** The entries of one chunk, held to its hash; or why they cannot be had. */
export async function readChunkEntries(
  points: PointSource,
  manifest: Manifest,
  chunk: ChunkRef,
): Promise<{ readonly entries: readonly Entry[]; readonly broken: BrokenChunk | null }> {
  const entries: Entry[] = [];
  try {
    for await (const entry of readEntries(points, { ...manifest, chunks: [chunk] })) entries.push(entry);
    return { entries, broken: null };
  } catch (error) {
    if (!isBackupError(error, 'ERR_MANIFEST_INVALID')) throw error;
    return { entries: [], broken: { key: chunk.key, reason: String(error.details['reason'] ?? 'it cannot be read') } };
  }
}

/** Chunks of the point that do not lie in the bucket, by one listing. */
export async function missingChunks(points: PointSource, manifest: Manifest): Promise<BrokenChunk[]> {
  const needed = new Set(manifest.chunks.map(({ key }) => key));
  for await (const { key } of points.bucket.list(CHUNKS_FOLDER)) needed.delete(key);
  return [...needed].map((key) => ({ key, reason: 'it is missing' }));
}

/**
 * Entries of a point at random, each as likely as any other, in random order: only the chunks in which they lie are read. Fewer than
 * `count` where the point has fewer. Chunks that cannot be read are named.
 */
export async function sampleEntries(
  points: PointSource,
  manifest: Manifest,
  count: number,
  random: RandomSource,
): Promise<{ readonly entries: readonly Entry[]; readonly broken: readonly BrokenChunk[] }> {
  const order = pickNumbers(manifest.files, count, random);
  const wanted = new Map(order.map((number, rank) => [number, rank]));
  const chunks: { readonly chunk: ChunkRef; readonly at: readonly [place: number, rank: number][] }[] = [];
  let first = 0;
  for (const chunk of manifest.chunks) {
    const at: [number, number][] = [];
    for (let place = 0; place < chunk.entries; place += 1) {
      const rank = wanted.get(first + place);
      if (rank !== undefined) at.push([place, rank]);
    }
    if (at.length > 0) chunks.push({ chunk, at });
    first += chunk.entries;
  }
  const found: Entry[] = [];
  const broken: BrokenChunk[] = [];
  await mapParallel(chunks, CHUNKS_AT_ONCE, async ({ chunk, at }) => {
    const read = await readChunkEntries(points, manifest, chunk);
    if (read.broken !== null) broken.push(read.broken);
    else for (const [place, rank] of at) found[rank] = read.entries[place] as Entry;
  });
  // Places of chunks that could not be read are holes.
  return { entries: found.filter(() => true), broken };
}

/** `count` different numbers below `total`, in random order; all of them where there are no more. */
export function pickNumbers(total: number, count: number, random: RandomSource): number[] {
  const taken = Math.min(total, count);
  // A shuffle that only remembers the places it has touched.
  const moved = new Map<number, number>();
  const picked: number[] = [];
  for (let at = 0; at < taken; at += 1) {
    const other = at + Math.min(Math.floor(random() * (total - at)), total - at - 1);
    picked.push(moved.get(other) ?? other);
    moved.set(other, moved.get(at) ?? at);
  }
  return picked;
}

/** The entry of one path, or null; only the chunk in which it would lie is read. */
export async function findEntry(points: PointSource, manifest: Manifest, path: string): Promise<Entry | null> {
  const chunk = manifest.chunks.findLast(({ first_path: first }) => compareUtf8(first, path) <= 0);
  if (chunk === undefined) return null;
  const { entries } = await readChunkEntries(points, manifest, chunk);
  return entries.find((entry) => entry.path === path) ?? null;
}

import type { Entry } from '../layout/types.ts';

/** What lies in the bucket for these paths: a file that was copied or renamed at the source refers to the same object as another. */
export async function placesOf(
  entries: AsyncIterable<Entry>,
  paths: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  const places = new Set<string>();
  for await (const entry of entries) if (paths.has(entry.path) && entry.key !== '') places.add(placeOf(entry));
  return places;
}

function placeOf({ key, offset }: Entry): string {
  return offset === undefined ? key : `${key}:${offset}`;
}

/** What was found damaged is no stored version: each file that it stands for is copied again, and no other one refers to it. */
export async function* doubting(entries: AsyncIterable<Entry>, damaged: ReadonlySet<string>): AsyncGenerator<Entry> {
  for await (const entry of entries) {
    yield entry.state === 'stored' && damaged.has(placeOf(entry)) ? { ...entry, state: 'carried' } : entry;
  }
}

import { zstdDecompressSync } from 'node:zlib';
import type { JobCipher } from '../../src/crypt/job-cipher.ts';
import type { Entry, Manifest } from '../../src/layout/types.ts';
import type { ObjectStore } from '../../src/storage/port.ts';
import type { ModelPoint } from './database.ts';
import { ModelViolation } from './oracle.ts';

/** Objects of others below and beside the prefix: nothing may ever touch them. */
export class ForeignObjects {
  readonly #store: ObjectStore;
  readonly #bodies = new Map<string, Buffer>();

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  get keys(): ReadonlySet<string> {
    return new Set(this.#bodies.keys());
  }

  async put(key: string): Promise<void> {
    if (this.#bodies.has(key)) return;
    const body = Buffer.from(`somebody else's ${key}`);
    await this.#store.put(key, body);
    this.#bodies.set(key, body);
  }

  async check(): Promise<void> {
    for (const [key, body] of this.#bodies) {
      const there = await this.#store.get(key);
      if (there === null || !there.equals(body)) throw new ModelViolation(`${key} is not ours and was touched`);
    }
  }
}

/** Below the prefix: names that look like ours and are not, and another program's repository. */
export const FOREIGN_BELOW = [
  'notes.txt',
  'kopia.repository',
  'p0123456789abcdef',
  'manifests/readme.txt',
  'manifests/chunks/note',
  'manifests/0190aaaa.c1-00000000.json',
  'run_notes/report.txt',
  'e3-owner.json.bak',
];

/** All objects of the archive that a key belongs to, as one of them may be needed to read another; else the key alone. */
async function wholeArchive(store: ObjectStore, key: string): Promise<string[]> {
  const base = /^.*\/archive\.tar\.zst/.exec(key)?.[0];
  if (base === undefined) return [key];
  const keys: string[] = [];
  for await (const object of store.list(base)) keys.push(object.key);
  return keys;
}

/** What may lie below the prefix when only these points are left: by the manifests alone, as a stranger reads them. */
export async function expectedKeys(
  store: ObjectStore,
  prefix: string,
  points: readonly ModelPoint[],
  cipher: JobCipher | null = null,
): Promise<Set<string>> {
  const expected = new Set([`${prefix}e3-owner.json`]);
  if (cipher !== null) expected.add(`${prefix}e3-keys.json`);
  const get = async (key: string): Promise<Buffer | null> => {
    const body = await store.get(prefix + key);
    return body === null || cipher === null ? body : cipher.open(body);
  };
  for (const { run, claim, manifestKey } of points) {
    const bytes = await get(manifestKey);
    if (bytes === null) throw new ModelViolation(`no manifest ${manifestKey}`);
    expected.add(prefix + manifestKey).add(`${prefix}manifests/${run}.${claim}.ok`);
    for (const { key } of (JSON.parse(bytes.toString()) as Manifest).chunks) {
      expected.add(prefix + key);
      const chunk = await get(key);
      if (chunk === null) throw new ModelViolation(`no chunk ${key}`);
      for (const line of zstdDecompressSync(chunk).toString().split('\n').slice(0, -1)) {
        const { key } = JSON.parse(line) as Entry;
        for (const one of await wholeArchive(store, prefix + key)) expected.add(one);
      }
    }
  }
  return expected;
}

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** How a restored folder differs from the one that was backed up. */
export interface Difference {
  readonly path: string;
  readonly what: 'missing' | 'added' | 'changed';
}

/** Compares two folders by the SHA-256 of every file: independent of everything that took part in the backup. */
export async function compareFolders(original: string, restored: string): Promise<Difference[]> {
  const [before, after] = [await filesBelow(original), await filesBelow(restored)];
  const differences: Difference[] = [];
  for (const path of before) {
    if (!after.has(path)) differences.push({ path, what: 'missing' });
    else if ((await digest(join(original, path))) !== (await digest(join(restored, path)))) {
      differences.push({ path, what: 'changed' });
    }
  }
  for (const path of after) if (!before.has(path)) differences.push({ path, what: 'added' });
  return differences;
}

async function filesBelow(folder: string): Promise<Set<string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return new Set(
    entries.filter((entry) => entry.isFile()).map((entry) => relative(folder, join(entry.parentPath, entry.name))),
  );
}

async function digest(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { PointMembers } from '../../src/archive/point-members.ts';
import type { JobCipher } from '../../src/crypt/job-cipher.ts';
import type { ErrorCode } from '../../src/errors/catalogue.ts';
import { keyOfPath, localNameOfPath } from '../../src/layout/encoding.ts';
import { PLAIN_NAMES, type FileNames } from '../../src/layout/keys.ts';
import type { BulkCopier } from '../../src/restore/port.ts';
import type { ObjectStore } from '../../src/storage/port.ts';

/** Copies into a folder by the store alone, so that restores of the model need no program. */
export function storeBulk(store: ObjectStore, folder: string, cipher: JobCipher | null = null): BulkCopier {
  const read = async (key: string, signal: AbortSignal): Promise<Buffer | null> => {
    const body = await store.get(key, { signal });
    return body === null || cipher === null ? body : cipher.open(body);
  };
  return folderBulk(folder, read, cipher ?? PLAIN_NAMES);
}

/** The same out of archives. */
export function memberBulk(members: PointMembers, prefix: string, folder: string): BulkCopier {
  return folderBulk(folder, async (key) => {
    const entry = await members.find(key.slice(prefix.length));
    const content = entry === null ? null : await members.stream(entry);
    return content === null ? null : await buffer(content);
  });
}

function folderBulk(
  folder: string,
  read: (key: string, signal: AbortSignal) => Promise<Buffer | null>,
  names: FileNames = PLAIN_NAMES,
): BulkCopier {
  return bulkOf(async (fromKey, toPath, signal) => {
    const body = await read(fromKey, signal);
    if (body === null) return 'ERR_OBJECT_MISSING';
    const target = join(folder, localNameOfPath(toPath).toString());
    const written = mkdir(dirname(target), { recursive: true }).then(async () => await writeFile(target, body));
    return await written.then(
      () => null,
      () => 'ERR_RESTORE_TARGET' as const,
    );
  }, names);
}

/** Copies below a prefix of the same store. */
export function prefixBulk(store: ObjectStore, prefix: string): BulkCopier {
  return bulkOf(async (fromKey, toPath, signal) =>
    (await store.copy(fromKey, prefix + keyOfPath(toPath), { signal })) ? null : 'ERR_OBJECT_MISSING',
  );
}

function bulkOf(
  copyOne: (fromKey: string, toPath: string, signal: AbortSignal) => Promise<ErrorCode | null>,
  names: FileNames = PLAIN_NAMES,
): BulkCopier {
  return {
    async copy({ fromKey, toPath, names: wanted, signal }) {
      const failed = new Map<string, ErrorCode>();
      for await (const name of wanted) {
        const key = fromKey === '' ? names.keyOfPath(name) : `${fromKey}/${names.keyOfPath(name)}`;
        const code = await copyOne(key, toPath === '' ? name : `${toPath}/${name}`, signal);
        if (code !== null) failed.set(name, code);
      }
      return failed;
    },
    async copySome({ items, signal }) {
      const failed = new Map<string, ErrorCode>();
      for await (const { fromKey, toPath } of items) {
        const code = await copyOne(fromKey, toPath, signal);
        if (code !== null) failed.set(toPath, code);
      }
      return failed;
    },
    async close() {},
  };
}

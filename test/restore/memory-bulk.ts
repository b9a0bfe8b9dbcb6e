import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ErrorCode } from '../../src/errors/catalogue.ts';
import { keyOfPath, localNameOfPath } from '../../src/layout/encoding.ts';
import type { BulkCopier } from '../../src/restore/port.ts';
import type { ObjectStore } from '../../src/storage/port.ts';

/** Copies by the store alone, so that restores of the model need no program. */
export function storeBulk(store: ObjectStore, folder: string): BulkCopier {
  return {
    async copy({ fromKey, toPath, names, signal }) {
      const failed = new Map<string, ErrorCode>();
      for await (const name of names) {
        const body = await store.get(`${fromKey}/${keyOfPath(name)}`, { signal });
        const target = join(folder, localNameOfPath(toPath === '' ? name : `${toPath}/${name}`).toString());
        if (body === null) failed.set(name, 'ERR_OBJECT_MISSING');
        else {
          const written = mkdir(dirname(target), { recursive: true }).then(() => writeFile(target, body));
          await written.catch(() => failed.set(name, 'ERR_RESTORE_TARGET'));
        }
      }
      return failed;
    },
  };
}

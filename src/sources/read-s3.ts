import { BackupError } from '../errors/backup-error.ts';
import type { SourceReader } from '../engines/port.ts';
import type { ObjectStore } from '../storage/port.ts';
import { openS3Parts, openS3Store } from '../storage/s3.ts';
import { keyOfSourcePath, sourceError } from './list-s3.ts';
import type { S3Origin } from './source-type.ts';

const FILES_AT_ONCE = 32;
/** Of one object: providers limit what goes over a single connection. */
const PARTS_AT_ONCE = 3;

/** Reads objects by the client that lists them: one request each, large ones in parts side by side, and no further process. */
export function readS3(origin: S3Origin, { signal }: { signal: AbortSignal }): SourceReader {
  const store = openS3Store(origin.access);
  const part = openS3Parts(origin.access);
  return {
    filesAtOnce: FILES_AT_ONCE,
    parts: {
      atOnce: PARTS_AT_ONCE,
      async read({ path, size }, first, into) {
        try {
          const found = await part({ key: origin.prefix + keyOfSourcePath(path), first, into, signal });
          return found?.size === size ? found.version : null;
        } catch (error) {
          throw signal.aborted ? signal.reason : sourceError(error);
        }
      },
    },
    async open({ path, size }, first) {
      return await openObject(store, origin.prefix + keyOfSourcePath(path), { size, first, signal });
    },
    close: async () => undefined,
  };
}

async function openObject(
  store: ObjectStore,
  key: string,
  { size, first, signal }: { size: number; first: number; signal: AbortSignal },
): Promise<AsyncIterable<Buffer>> {
  try {
    const range = first > 0 ? { range: { first, last: size - 1 } } : {};
    const body = await store.stream(key, { ...range, signal });
    if (body === null) throw new BackupError('ERR_SOURCE_NOT_FOUND');
    return told(body, signal);
  } catch (error) {
    throw signal.aborted ? signal.reason : sourceError(error);
  }
}

async function* told(body: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    yield* body;
  } catch (error) {
    throw signal.aborted ? signal.reason : sourceError(error);
  }
}

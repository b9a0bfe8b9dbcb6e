import { pipeline, type Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { ObjectStore } from '../storage/port.ts';
import { BLOCK_BYTES, HEADER_BYTES, nonceOf, SEALED_BLOCK_BYTES } from './file-format.ts';
import type { JobCipher } from './job-cipher.ts';

/** Plain bytes of a file, both ends included. */
export interface PlainRange {
  readonly first: number;
  readonly last: number;
}

/**
 * The plain bytes of a sealed object as a stream, or null when there is no such object. With a range, only the header and the blocks of
 * 64 KiB that hold it are asked for; it may reach beyond the end, but must begin before it. The stream ends with FormatError where the
 * object is not what was sealed.
 * @throws FormatError when it does not begin as a sealed object does; what the store throws
 */
export async function streamSealed(
  store: ObjectStore,
  key: string,
  cipher: JobCipher,
  range?: PlainRange,
  signal?: AbortSignal,
): Promise<Readable | null> {
  const options = signal === undefined ? {} : { signal };
  if (range === undefined) return opened(await store.stream(key, options), cipher.openStream());
  const first = Math.floor(range.first / BLOCK_BYTES);
  const last = HEADER_BYTES + (Math.floor(range.last / BLOCK_BYTES) + 1) * SEALED_BLOCK_BYTES - 1;
  const part = { first, skip: range.first % BLOCK_BYTES, length: range.last - range.first + 1 };
  if (first === 0)
    return opened(await store.stream(key, { ...options, range: { first: 0, last } }), cipher.openStream(part));
  const header = await store.stream(key, { ...options, range: { first: 0, last: HEADER_BYTES - 1 } });
  if (header === null) return null;
  const nonce = nonceOf(await buffer(header));
  const blocks = { first: HEADER_BYTES + first * SEALED_BLOCK_BYTES, last };
  return opened(await store.stream(key, { ...options, range: blocks }), cipher.openStream({ ...part, nonce }));
}

/** The bytes of a file, whether its object is encrypted or not. @throws as `streamSealed` */
export async function streamFile(
  store: ObjectStore,
  key: string,
  cipher: JobCipher | null,
  range?: PlainRange,
  signal?: AbortSignal,
): Promise<Readable | null> {
  if (cipher !== null) return await streamSealed(store, key, cipher, range, signal);
  return await store.stream(key, { ...(range && { range }), ...(signal && { signal }) });
}

function opened(sealed: Readable | null, opening: ReturnType<JobCipher['openStream']>): Readable | null {
  if (sealed === null) return null;
  // Whoever reads learns of an error from the last stream; the callback keeps it from being thrown elsewhere as well.
  return pipeline(sealed, opening, () => undefined);
}

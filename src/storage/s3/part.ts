import type { IncomingMessage } from 'node:http';
import type { S3Connection } from './connection.ts';
import { isMissingObject, S3Failure } from './failure.ts';

/** A part of an object, read whole. */
export interface ObjectPart {
  readonly pieces: readonly Buffer[];
  /** Bytes of the whole object. */
  readonly size: number;
  /** Its ETag and date. */
  readonly version: string;
}

/**
 * Bytes `first` to `last` of an object, both included. Null: the server sends another part, or all of it, or there is no such part.
 * @throws S3Failure, or the reason of the signal
 */
export async function readPart(
  connection: S3Connection,
  key: string,
  { first, last, signal }: { readonly first: number; readonly last: number; readonly signal: AbortSignal },
): Promise<ObjectPart | null> {
  const headers = { range: `bytes=${first}-${last}` };
  try {
    return await connection.send(
      { method: 'GET', key, headers, signal },
      async (answer) => await take(answer, { first, last }),
    );
  } catch (error) {
    if (isMissingObject(error) || (error instanceof S3Failure && error.status === 416)) return null;
    throw error;
  }
}

/** What a server says that it sends is believed, and what it does not say is not. */
async function take(
  answer: IncomingMessage,
  { first, last }: { readonly first: number; readonly last: number },
): Promise<ObjectPart | null> {
  const { 'content-range': range = '', etag = '', 'last-modified': date = '' } = answer.headers;
  const [, from, to, size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(range) ?? [];
  const pieces: Buffer[] = [];
  let missing = last - first + 1;
  if (answer.statusCode === 206 && Number(from) === first && Number(to) === last) {
    for await (const piece of answer as AsyncIterable<Buffer>) {
      pieces.push(piece);
      missing -= piece.length;
      if (missing < 0) break;
    }
  }
  // The rest is not wanted.
  if (missing !== 0) answer.destroy();
  return missing === 0 ? { pieces, size: Number(size), version: `${etag} ${date}` } : null;
}

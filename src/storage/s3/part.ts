import type { IncomingMessage } from 'node:http';
import { giveBack } from '../give-back.ts';
import type { S3Connection } from './connection.ts';
import { isMissingObject, S3Failure } from './failure.ts';

/** What a server says of the object that a part is of. */
export interface PartOf {
  /** Bytes of the whole object. */
  readonly size: number;
  /** Its ETag and date. */
  readonly version: string;
}

/** A part of an object: from byte `first` on as many as `into` takes. */
export interface PartRequest {
  readonly key: string;
  readonly first: number;
  readonly into: Buffer;
  readonly signal: AbortSignal;
}

/**
 * Fills `into`. Null: the server sends another part, or all of the object, or there is no such part.
 * @throws S3Failure, or the reason of the signal
 */
export async function readPart(connection: S3Connection, request: PartRequest): Promise<PartOf | null> {
  const { key, first, into, signal } = request;
  const headers = { range: `bytes=${first}-${first + into.length - 1}` };
  try {
    return await connection.send(
      { method: 'GET', key, headers, signal },
      async (answer) => await take(answer, first, into),
    );
  } catch (error) {
    if (isMissingObject(error) || (error instanceof S3Failure && error.status === 416)) return null;
    throw error;
  }
}

/** What a server says that it sends is believed, and what it does not say is not. */
async function take(answer: IncomingMessage, first: number, into: Buffer): Promise<PartOf | null> {
  const { 'content-range': range = '', etag = '', 'last-modified': date = '' } = answer.headers;
  const [, from, to, size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(range) ?? [];
  let filled = 0;
  // Some say 200 with it (rclone serve s3).
  if (Number(from) === first && Number(to) === first + into.length - 1) {
    for await (const piece of answer as AsyncIterable<Buffer>) {
      if (filled + piece.length <= into.length) piece.copy(into, filled);
      filled += piece.length;
      if (filled > into.length) break;
      giveBack(piece);
    }
  }
  // The rest is not wanted.
  if (filled !== into.length) answer.destroy();
  return filled === into.length ? { size: Number(size), version: `${etag} ${date}` } : null;
}

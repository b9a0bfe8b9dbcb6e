import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Request, Response } from 'express';
import { BackupError } from '../errors/backup-error.ts';

/** An answer that is made while it is sent: a download. */
export interface StreamedAnswer {
  /** What the browser calls the file. */
  readonly fileName: string;
  readonly contentType: string;
  /** Bytes, where they are known before. */
  readonly length: number | null;
  /** The body, made no faster than it is taken. An error ends it so that nobody takes it for whole. */
  body(signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** Always called once, at the end: gives back what was held for it. */
  close(): Promise<void>;
}

/**
 * A GET that writes an entry into the audit log and costs something must be meant: a picture or a link in somebody else's page may not start
 * it. Browsers say where a request comes from; programs say nothing, and have no session to misuse.
 * @throws BackupError `CSRF_INVALID`
 */
export function requireMeant(request: Request): void {
  const site = request.get('sec-fetch-site');
  if (site !== undefined && site !== 'same-origin' && site !== 'none') throw new BackupError('CSRF_INVALID');
}

/** Longer than a bucket may stay silent, and than somebody lets a download pause. */
const IDLE_MS = 60 * 60_000;

/**
 * Sends the body at the reader's pace. When the reader goes away, or takes nothing for so long that it has gone without a word, reading
 * ends, and with it what is held for the download; when the body fails, the connection is cut.
 * @throws what the body threw, after the headers are gone
 */
export async function sendStream(response: Response, answer: StreamedAnswer, idleMs = IDLE_MS): Promise<void> {
  const gone = new AbortController();
  const leave = (): void => {
    if (!response.writableFinished) gone.abort(new ReaderGone());
  };
  response.once('close', leave);
  response.setTimeout(idleMs, () => response.destroy());
  try {
    if (response.destroyed) throw new ReaderGone();
    const pieces = answer.body(gone.signal)[Symbol.asyncIterator]();
    // What fails before the first byte is told in words.
    const first = await pieces.next();
    if (response.destroyed) throw new ReaderGone();
    setHeaders(response, answer);
    await pipeline(Readable.from(startingWith(first, pieces), { objectMode: false }), response);
  } catch (error) {
    if (response.headersSent) response.destroy();
    throw gone.signal.aborted ? new ReaderGone() : error;
  } finally {
    response.off('close', leave);
    await answer.close();
  }
}

function setHeaders(response: Response, { fileName, contentType, length }: StreamedAnswer): void {
  response.attachment(fileName);
  response.set({
    'Content-Type': contentType,
    'Content-Security-Policy': "default-src 'none'; sandbox",
    'X-Content-Type-Options': 'nosniff',
    // A proxy that buffers would read ahead of the browser, into files of its own.
    'X-Accel-Buffering': 'no',
    ...(length === null ? {} : { 'Content-Length': String(length) }),
  });
}

async function* startingWith(
  first: IteratorResult<Uint8Array>,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    for (let next = first; next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

/** Nobody's mistake: the browser closed the connection before the end. */
export class ReaderGone extends Error {
  override readonly name = 'ReaderGone';
  constructor() {
    super('the reader went away');
  }
}

import { createHash } from 'node:crypto';
import { BackupError } from '../../errors/backup-error.ts';
import type { ObjectHead, ObjectUpload } from '../port.ts';
import { readBody, type S3Connection, type S3Request } from './connection.ts';
import { isMissingObject, S3Failure, toBackupError } from './failure.ts';
import { abortUpload } from './uploads.ts';
import { escapeXml, parseFlat } from './xml.ts';

interface RequestOptions {
  signal?: AbortSignal;
}

/** A `head` of the store: the only way to learn whether a completion took effect whose answer was lost. */
type Head = (key: string, options: RequestOptions) => Promise<ObjectHead | null>;

/** An upload in parts that was begun on the server. */
export class S3Upload implements ObjectUpload {
  readonly key: string;
  readonly uploadId: string;
  readonly #connection: S3Connection;
  readonly #head: Head;
  readonly #parts = new Map<number, { readonly etag: string; readonly size: number }>();

  constructor(connection: S3Connection, upload: { readonly key: string; readonly uploadId: string }, head: Head) {
    this.#connection = connection;
    this.key = upload.key;
    this.uploadId = upload.uploadId;
    this.#head = head;
  }

  static async begin(
    connection: S3Connection,
    { key, contentType, signal }: { key: string; contentType: string; signal: AbortSignal | undefined },
    head: Head,
  ): Promise<S3Upload> {
    return await told(async () => {
      const headers = { 'content-type': contentType };
      const answer = await sendXml(connection, { method: 'POST', key, query: { uploads: '' }, headers, signal });
      const uploadId = answer.get('UploadId') ?? '';
      if (uploadId === '') throw new S3Failure(502, 'MalformedAnswer', 'the upload has no number');
      return new S3Upload(connection, { key, uploadId }, head);
    });
  }

  async part(
    number: number,
    pieces: readonly Buffer[],
    { signal, md5 = md5Of(pieces) }: RequestOptions & { md5?: string } = {},
  ): Promise<void> {
    const size = pieces.reduce((sum, { length }) => sum + length, 0);
    await told(async () => {
      const etag = await this.#connection.send(
        {
          method: 'PUT',
          key: this.key,
          query: { partNumber: String(number), uploadId: this.uploadId },
          // The MD5 is signed and the server holds the part to it: a second digest of many gigabytes would prove nothing more.
          headers: { 'content-md5': md5, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
          body: pieces,
          signal,
        },
        async (answer) => {
          await readBody(answer);
          return answer.headers.etag ?? '';
        },
      );
      this.#parts.set(number, { etag, size });
    });
  }

  async complete({ signal }: RequestOptions = {}): Promise<void> {
    const parts = [...this.#parts].sort(([a], [b]) => a - b);
    const size = parts.reduce((sum, [, part]) => sum + part.size, 0);
    const list = parts.map(
      ([number, { etag }]) => `<Part><PartNumber>${number}</PartNumber><ETag>${escapeXml(etag)}</ETag></Part>`,
    );
    const body = Buffer.from(`<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`, 'utf8');
    const headers = { 'content-type': 'application/xml' };
    const request = {
      method: 'POST',
      key: this.key,
      query: { uploadId: this.uploadId },
      headers,
      body,
      signal,
    } as const;
    await told(async () => {
      try {
        await sendXml(this.#connection, request);
      } catch (error) {
        // Completed already, when an answer was lost: the object tells.
        if (!(error instanceof S3Failure && (error.code === 'NoSuchUpload' || isMissingObject(error)))) throw error;
        if ((await this.#head(this.key, signal ? { signal } : {})) === null) throw error;
      }
    });
    const head = await this.#head(this.key, signal ? { signal } : {});
    if (head?.size === size) return;
    throw new BackupError('ERR_COMMIT_READBACK', undefined, { details: { key: this.key } });
  }

  async abort({ signal }: RequestOptions = {}): Promise<void> {
    await told(async () => await abortUpload(this.#connection, this, signal));
  }
}

function md5Of(pieces: readonly Buffer[]): string {
  const hash = createHash('md5');
  for (const piece of pieces) hash.update(piece);
  return hash.digest('base64');
}

async function told<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toBackupError(error);
  }
}

/** These answers may be an error although the status line said 200: parsing is part of the attempt, so it is repeated. */
async function sendXml(connection: S3Connection, request: S3Request): Promise<Map<string, string>> {
  return await connection.send(request, async (answer) => parseFlat((await readBody(answer)).toString('utf8')));
}

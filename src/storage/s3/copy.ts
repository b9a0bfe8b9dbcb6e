import type { ObjectHead } from '../port.ts';
import { readBody, type S3Connection, type S3Request } from './connection.ts';
import { escapeXml, parseFlat } from './xml.ts';
import { S3Failure } from './failure.ts';

export interface CopyOptions {
  /** Objects above it are copied in parts. Default and S3's limit for one copy: 5 GiB. */
  readonly copyCutoffBytes?: number;
  /** Default 512 MiB. */
  readonly copyPartBytes?: number;
}

interface Copy {
  /** `/<bucket>/<key>`, percent-encoded. */
  readonly source: string;
  readonly head: ObjectHead;
  readonly toKey: string;
  readonly signal: AbortSignal | undefined;
}

const CUTOFF_BYTES = 5 * 1024 ** 3;
const PART_BYTES = 512 * 1024 ** 2;
const PARTS_AT_ONCE = 8;
const MOST_PARTS = 10_000;

/** Copies on the server, whole or in parts; metadata goes along. False when the source vanished meanwhile. */
export async function copyObject(connection: S3Connection, copy: Copy, options: CopyOptions): Promise<boolean> {
  try {
    if (copy.head.size > (options.copyCutoffBytes ?? CUTOFF_BYTES)) {
      await copyInParts(connection, copy, options.copyPartBytes ?? PART_BYTES);
    } else {
      await sendXml(connection, 'CopyObjectResult', {
        method: 'PUT',
        key: copy.toKey,
        headers: { 'x-amz-copy-source': copy.source, 'x-amz-metadata-directive': 'COPY' },
        signal: copy.signal,
      });
    }
    return true;
  } catch (error) {
    if (error instanceof S3Failure && error.code === 'NoSuchKey') return false;
    throw error;
  }
}

async function copyInParts(connection: S3Connection, copy: Copy, wantedPartBytes: number): Promise<void> {
  const { size, metadata } = copy.head;
  const partBytes = Math.max(wantedPartBytes, Math.ceil(size / MOST_PARTS));
  const headers = Object.fromEntries(
    Object.entries(metadata).map(([name, value]) => [
      `x-amz-meta-${name}`,
      // Header text is Latin-1 to Node; UTF-8 goes through as its bytes.
      Buffer.from(value, 'utf8').toString('latin1'),
    ]),
  );
  const { key, signal } = { key: copy.toKey, signal: copy.signal };
  const started = await sendXml(connection, 'InitiateMultipartUploadResult', {
    method: 'POST',
    key,
    query: { uploads: '' },
    headers,
    signal,
  });
  const uploadId = started.get('UploadId') ?? '';
  try {
    const etags = await copyParts(connection, copy, { uploadId, partBytes });
    const parts = etags.map(
      (etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${escapeXml(etag)}</ETag></Part>`,
    );
    await sendXml(connection, 'CompleteMultipartUploadResult', {
      method: 'POST',
      key,
      query: { uploadId },
      headers: { 'content-type': 'application/xml' },
      body: Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`, 'utf8'),
      signal,
    });
  } catch (error) {
    // Parts of an upload that is not completed take room; if this fails too, sweeping finds them.
    await connection.send({ method: 'DELETE', key, query: { uploadId } }, readBody).catch(() => {});
    throw error;
  }
}

async function copyParts(
  connection: S3Connection,
  copy: Copy,
  upload: { uploadId: string; partBytes: number },
): Promise<string[]> {
  const { size } = copy.head;
  const count = Math.ceil(size / upload.partBytes);
  const etags: string[] = Array.from({ length: count }, () => '');
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      const first = index * upload.partBytes;
      const last = Math.min(size, first + upload.partBytes) - 1;
      const answer = await sendXml(connection, 'CopyPartResult', {
        method: 'PUT',
        key: copy.toKey,
        query: { partNumber: String(index + 1), uploadId: upload.uploadId },
        headers: { 'x-amz-copy-source': copy.source, 'x-amz-copy-source-range': `bytes=${first}-${last}` },
        signal: copy.signal,
      });
      etags[index] = answer.get('ETag') ?? '';
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARTS_AT_ONCE, count) }, work));
  return etags;
}

/** These answers may be an error although the status line said 200: parsing is part of the attempt, so it is repeated. */
async function sendXml(connection: S3Connection, root: string, request: S3Request): Promise<Map<string, string>> {
  return await connection.send(request, async (answer) => parseFlat((await readBody(answer)).toString('utf8'), root));
}

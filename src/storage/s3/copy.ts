import type { ObjectHead } from '../port.ts';
import { readBody, type S3Connection, type S3Request } from './connection.ts';
import { escapeXml, parseFlat } from './xml.ts';
import { isUnsupported, S3Failure } from './failure.ts';

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
      try {
        await copyInParts(connection, copy, options.copyPartBytes ?? PART_BYTES);
      } catch (error) {
        // Servers that know no copied parts (some take them for empty ones) mostly have no limit for whole copies either.
        if (!isUnsupported(error) && !(error instanceof S3Failure && error.code === 'MalformedAnswer')) throw error;
        await copyWhole(connection, copy);
      }
    } else {
      await copyWhole(connection, copy);
    }
    return true;
  } catch (error) {
    if (error instanceof S3Failure && error.code === 'NoSuchKey') return false;
    throw error;
  }
}

async function copyWhole(connection: S3Connection, copy: Copy): Promise<void> {
  await sendXml(connection, {
    method: 'PUT',
    key: copy.toKey,
    headers: { 'x-amz-copy-source': copy.source, 'x-amz-metadata-directive': 'COPY' },
    signal: copy.signal,
  });
}

async function copyInParts(connection: S3Connection, copy: Copy, wantedPartBytes: number): Promise<void> {
  const { size, metadata } = copy.head;
  const partBytes = Math.max(wantedPartBytes, Math.ceil(size / MOST_PARTS));
  const headers = Object.fromEntries(Object.entries(metadata).map(([name, value]) => [`x-amz-meta-${name}`, value]));
  const { toKey: key, signal } = copy;
  const started = await sendXml(connection, {
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
    await sendXml(connection, {
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
  // One part that failed ends the others.
  const failed = new AbortController();
  const signal = copy.signal ? AbortSignal.any([copy.signal, failed.signal]) : failed.signal;
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      const first = index * upload.partBytes;
      const last = Math.min(size, first + upload.partBytes) - 1;
      const answer = await sendXml(connection, {
        method: 'PUT',
        key: copy.toKey,
        query: { partNumber: String(index + 1), uploadId: upload.uploadId },
        headers: { 'x-amz-copy-source': copy.source, 'x-amz-copy-source-range': `bytes=${first}-${last}` },
        signal,
      });
      etags[index] = answer.get('ETag') ?? '';
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(PARTS_AT_ONCE, count) }, work));
  } finally {
    failed.abort();
  }
  return etags;
}

/** These answers may be an error although the status line said 200: parsing is part of the attempt, so it is repeated. */
async function sendXml(connection: S3Connection, request: S3Request): Promise<Map<string, string>> {
  return await connection.send(request, async (answer) => parseFlat((await readBody(answer)).toString('utf8')));
}

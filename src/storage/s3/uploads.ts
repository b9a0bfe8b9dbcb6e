import type { PendingUpload } from '../port.ts';
import { readBody, type S3Connection } from './connection.ts';
import { isUnsupported, S3Failure } from './failure.ts';
import { parseUploads, type UploadsPage } from './xml.ts';

/** Pending multipart uploads, page by page. Nothing where the server does not know the question. */
export async function* listUploads(
  connection: S3Connection,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<PendingUpload> {
  let from: UploadsPage['next'] = null;
  do {
    const page = await requestPage(connection, { prefix, from, signal });
    if (page === null) return;
    // Some servers take the prefix for a hint.
    yield* page.uploads.filter(({ key }) => key.startsWith(prefix));
    const { next }: UploadsPage = page;
    if (next !== null && next.key === from?.key && next.uploadId === from.uploadId) {
      throw new S3Failure(502, 'MalformedAnswer', 'the listing of uploads does not advance');
    }
    from = next;
  } while (from !== null);
}

async function requestPage(
  connection: S3Connection,
  { prefix, from, signal }: { prefix: string; from: UploadsPage['next']; signal: AbortSignal | undefined },
): Promise<UploadsPage | null> {
  // Without `encoding-type`: SeaweedFS says that it encodes the keys and does not.
  const query = {
    uploads: '',
    'max-uploads': '1000',
    prefix,
    ...(from === null ? {} : { 'key-marker': from.key, 'upload-id-marker': from.uploadId }),
  };
  try {
    const xml = await connection.send({ method: 'GET', query, signal }, readBody);
    return parseUploads(xml.toString('utf8'));
  } catch (error) {
    // A server that ignores the parameter answers with an ordinary listing; rclone's says so where no upload was ever begun.
    const isAnotherAnswer =
      error instanceof S3Failure && (error.code === 'MalformedAnswer' || error.code === 'NoSuchUpload');
    if (from === null && (isUnsupported(error) || isAnotherAnswer)) return null;
    throw error;
  }
}

export async function abortUpload(
  connection: S3Connection,
  upload: { readonly key: string; readonly uploadId: string },
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    const { key, uploadId } = upload;
    await connection.send({ method: 'DELETE', key, query: { uploadId }, signal }, readBody);
  } catch (error) {
    if (!(error instanceof S3Failure && (error.code === 'NoSuchUpload' || error.code === 'NoSuchKey'))) throw error;
  }
}

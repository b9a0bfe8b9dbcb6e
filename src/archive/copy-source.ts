import type { PointSource } from '../backup/point-reader.ts';
import type { JobCipher } from '../crypt/job-cipher.ts';
import type { BucketAccess } from '../storage/port.ts';
import { PointMembers } from './point-members.ts';
import { serveMembers } from './member-server.ts';

export interface CopySourceOptions {
  readonly mode: 'sync' | 'archive';
  /** The bucket in which the job's prefix lies. */
  readonly access: BucketAccess;
  readonly source: PointSource;
  readonly place: { readonly run: string; readonly claim: string };
  readonly manifestSha256?: string | undefined;
  readonly signal: AbortSignal;
}

/** From where the transfer program copies the files of a point. */
export interface CopySource {
  readonly from: BucketAccess;
  /** What it has to open itself; null: nothing. */
  readonly cipher: JobCipher | null;
  /** Files are best read from their beginning to their end, in one piece. */
  readonly inOnePiece: boolean;
  close(): Promise<void>;
}

/** The bucket itself, or, where files lie in archives, an endpoint on loopback that presents them as objects, opened already. */
export async function openCopySource(options: CopySourceOptions): Promise<CopySource> {
  const { mode, access, source } = options;
  if (mode === 'sync')
    return { from: access, cipher: source.bucket.cipher, inOnePiece: false, close: async () => undefined };
  const server = await serveMembers(new PointMembers(options), { bucket: access.bucket, prefix: source.bucket.prefix });
  return { from: server.access, cipher: null, inOnePiece: true, close: async () => await server.close() };
}

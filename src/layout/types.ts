/** Shapes of the backup format, version 1. See docs/backup-format.md; names and spelling are what lies in buckets for years. */

export type EntryState = 'stored' | 'carried' | 'failed';

/** One line of a chunk. `key` is relative to the job's prefix; for a `failed` entry without an earlier version it is ''. */
export interface Entry {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** RFC 3339, UTC, ends in Z: what the source's listing said. */
  readonly mtime: string;
  /** `md5:<hex>` or null. */
  readonly hash: string | null;
  readonly key: string;
  readonly state: EntryState;
  /** Archive mode: where in the archive object the entry's frame lies. */
  readonly offset?: number;
  readonly length?: number;
}

export interface ChunkRef {
  /** Relative to the job's prefix. */
  readonly key: string;
  readonly first_path: string;
  readonly entries: number;
}

export interface Manifest {
  readonly format: 1;
  readonly job: string;
  readonly run: string;
  /** `c<number>-<8 hex>` */
  readonly claim: string;
  readonly generation: number;
  readonly parent: { readonly key: string; readonly sha256: string } | null;
  /** ISO 8601 UTC with milliseconds. */
  readonly created_at: string;
  readonly source_type: string;
  readonly complete: boolean;
  readonly frozen: boolean;
  readonly files: number;
  readonly bytes: number;
  /** Entries whose state is `stored` (of all entries); bytes are in `bytes`. */
  readonly stored: number;
  readonly carried: number;
  readonly failed: number;
  readonly chunks: readonly ChunkRef[];
  readonly key_id: string;
  readonly mac: string;
}

export interface OwnerMarker {
  readonly format: 1;
  readonly installation: string;
  readonly database: string;
  readonly job: string;
  readonly encoding: string;
  readonly key_id: string;
  readonly mac: string;
}

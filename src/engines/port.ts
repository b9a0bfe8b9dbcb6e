import type { ErrorCode } from '../errors/catalogue.ts';

/** One file of the source as its listing shows it. Paths are UTF-8 in rclone's standard form, relative to the source's root. */
export interface SourceFile {
  readonly path: string;
  /** Bytes; -1 where the source does not know (such files are copied each time, unless `dated`). */
  readonly size: number;
  /** RFC 3339 in UTC with what precision the source has, ends in `Z`. */
  readonly mtime: string;
  /** `md5:<hex>` where the source tells it without reading the file, else null. */
  readonly hash: string | null;
  /** Its time moves with every change of the content. */
  readonly dated?: boolean;
}

/**
 * `symlink`: what the link leads to is listed under its own name, or does not exist. `symlink_loop`: it leads back to where it lies.
 * `special_file`: pipe, socket or device. `bad_name`: no path can be made of the name. `unexportable`: a document without a file form.
 * `duplicate`: another one of the same name is taken. `size_untold`: listed as empty, and it is not.
 */
export type SkipReason =
  'symlink' | 'symlink_loop' | 'special_file' | 'bad_name' | 'unexportable' | 'duplicate' | 'size_untold';

/** A listing ends with one of these; a listing that failed never looks like an empty one. */
export interface ListingOutcome {
  /** Every folder was read. */
  readonly complete: boolean;
  /** Folders (paths, '' = root), and links, that could not be read: what lay there is unknown, not deleted. */
  readonly unreadable: readonly string[];
  /** Names that were left out and why (never silently). */
  readonly skipped: readonly { path: string; reason: SkipReason }[];
}

export interface SourceListing {
  /** Files in no particular order. Throws BackupError when nothing could be listed at all. */
  readonly files: AsyncIterable<SourceFile>;
  /** Settles after `files` has ended. */
  readonly outcome: Promise<ListingOutcome>;
}

export interface TransferProgress {
  /** Bytes moved so far, of `bytesTotal` known so far. */
  readonly bytes: number;
  readonly bytesTotal: number;
  readonly files: number;
  readonly filesTotal: number;
  /** Bytes per second, smoothed by the engine. */
  readonly speed: number;
  readonly etaSeconds: number | null;
  /** Paths in flight. */
  readonly transferring: readonly string[];
  readonly errors: number;
}

export type EngineEvent =
  | { readonly type: 'progress'; readonly progress: TransferProgress }
  | { readonly type: 'copied'; readonly path: string; readonly size: number }
  | { readonly type: 'file_failed'; readonly path: string; readonly code: ErrorCode; readonly message: string };

export interface TransferOutcome {
  /** Files that could not be copied, by path, with the class of their error. */
  readonly failed: ReadonlyMap<string, { code: ErrorCode; message: string }>;
  /** The error that ended the whole transfer, or null. Not set when only single files failed. */
  readonly fatal: { code: ErrorCode; message: string } | null;
  readonly exitCode: number | null;
  readonly stopped: boolean;
}

/** A supervised child: the same shape for rclone and kopia. */
export interface EngineProcess {
  readonly events: AsyncIterable<EngineEvent>;
  /** Bytes per second, 0 = unlimited; acts at once. */
  setBandwidth(bytesPerSecond: number): Promise<void>;
  /** Gentle stop, then kill after `graceMs`. */
  stop(options?: { graceMs?: number }): Promise<void>;
  readonly done: Promise<TransferOutcome>;
}

/** Reads parts of one file side by side. */
export interface PartReader {
  /** How many are worth reading at once. */
  readonly atOnce: number;
  /**
   * Fills a buffer with what stands from byte `first` on. Answers by what the source tells versions of the file apart: parts with the same one
   * belong together. Null: what the source sends is not that part of a file of this size.
   * @throws BackupError why this file cannot be read
   */
  read(file: Pick<SourceFile, 'path' | 'size'>, first: number, into: Buffer): Promise<string | null>;
}

/** The source's files by their content, for archives. */
export interface SourceReader {
  /** How many are worth reading at once. */
  readonly filesAtOnce: number;
  /** Absent where a source is not believed about which part it sends, or gains nothing by it. */
  readonly parts?: PartReader;
  /**
   * The content from byte `first` on. Whoever stops reading lets go of it.
   * @throws BackupError why this file cannot be read, also while it is read; one that ends early is an error too
   */
  open(file: Pick<SourceFile, 'path' | 'size'>, first: number): Promise<AsyncIterable<Buffer>>;
  /** Ends what was started for the reading. */
  close(): Promise<void>;
}

/**
 * What a cloud backup needs of its source and of the program that copies. `src/engines/rclone` implements it;
 * the model test has one that works in memory.
 */
export interface BackupEngine {
  /** Name and version, e.g. `rclone 1.75.2`. */
  readonly version: string;
  /** Lists the whole source, once, streamed. */
  list(options: { signal: AbortSignal }): SourceListing;
  /** Looks again at these files: what the source says of each; missing ones are absent from the map. */
  look(paths: readonly string[], options: { signal: AbortSignal }): Promise<Map<string, SourceFile>>;
  /** Opens the source to read its files one by one. Nothing is connected before the first of them. */
  read(options: { signal: AbortSignal }): SourceReader;
  /**
   * Copies files below the destination's `targetKey` (a key prefix without trailing slash), under their own names by the
   * destination's encoding. `'all'` copies everything that the source holds.
   */
  copy(request: {
    paths: readonly string[] | 'all';
    targetKey: string;
    signal: AbortSignal;
    bytesTotal?: number;
  }): EngineProcess;
}

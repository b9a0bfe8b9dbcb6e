import type { z } from 'zod';
import type { ListingOutcome, SkipReason } from '../engines/port.ts';
import type { Side } from '../engines/rclone/error-classes.ts';
import type { LogLine } from '../engines/rclone/log.ts';
import type { BucketAccess } from '../storage/port.ts';
import type { ProviderName } from './oauth/providers.ts';
import type { UsableKey } from './private-key.ts';

/** A source as a job holds it: type, parsed settings (with secrets), path inside of it. */
export interface Source {
  readonly type: SourceTypeName;
  readonly config: Readonly<Record<string, unknown>>;
  readonly path: string;
}

/** Source types that are built. */
export type SourceTypeName = 's3_compatible' | 'aws' | 'sftp' | 'smb' | 'nas' | 'webdav' | 'google_drive' | 'dropbox';

/** What the transfer program is told about a source. Values are plain; those named in `obscured` it wants in its own disguise. */
export interface RemoteDefinition {
  /** rclone's backend. */
  readonly backend: 's3' | 'sftp' | 'smb' | 'webdav' | 'ftp' | 'drive' | 'dropbox';
  readonly options: Readonly<Record<string, string>>;
  readonly obscured: readonly string[];
  /** Path inside of the source, as the source itself spells it (for S3 with the bucket before it). */
  readonly root: string;
  /** What a listing connects to. */
  readonly origin: SourceOrigin;
  /** What failures are called here. */
  readonly side: Side;
  /** How it is read, and written to where that is possible. */
  readonly pace: Pace;
  readonly reach: Reach;
  /** Certificates (PEM) that its own is held to, instead of those that the system trusts. */
  readonly trusted?: string;
  /** Nothing can be restored there. */
  readonly readOnly?: true;
}

/**
 * How the transfer program is kept to the hosts that were checked. `name`: not at all (hosts that no customer chose). `address`: option
 * `host` becomes the address that was checked. `proxy`: all traffic passes a proxy of ours, which the program is told in `option`; with
 * `onlyServer` it leads to the source's first host alone, and with `unlessAllowed` a server that the operator has allowed by its name is
 * trusted to lead nowhere else.
 */
export type Reach =
  | { readonly by: 'name' }
  | { readonly by: 'address' }
  | { readonly by: 'proxy'; readonly option: string; readonly onlyServer: boolean; readonly unlessAllowed?: true };

export interface Pace {
  /** Files at once; null: as many as the worker allows. */
  readonly transfers: number | null;
  /** Of every call that copies from or to it, so many files at once. */
  flags(transfers: number): readonly string[];
  /**
   * A file whose connection breaks is read from its beginning again: whoever ignores byte ranges sends it from there in any case, and
   * rclone does not look at what is sent.
   */
  readonly resumes?: false;
}

/** Where a source is reached, for who lists it. Holds secrets: such a value lives in a worker's memory only. */
export type SourceOrigin = S3Origin | SftpOrigin | RemoteOrigin;

export interface S3Origin {
  readonly kind: 's3';
  readonly access: BucketAccess;
  /** Key prefix of the source's root: '' or ending in a slash. */
  readonly prefix: string;
}

export interface SftpOrigin {
  readonly kind: 'sftp';
  /** Name or address; once the egress guard has looked at it, the address. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly pass: string | null;
  readonly key: UsableKey | null;
  /** Absolute, or relative to the user's home; '' = home. */
  readonly path: string;
}

/** Listed by rclone itself. */
export interface RemoteOrigin {
  readonly kind: 'remote';
  /** The server tells MD5 sums without reading the files. */
  readonly md5: boolean;
  /** Files whose size is not known (documents that are made into files when they are read) have a date that can be relied on. */
  readonly dated?: boolean;
  /** A file may be listed with no size where the server does not tell one. */
  readonly zeroIsDoubtful?: boolean;
  /** Of every call that lists. */
  readonly listFlags?: readonly string[];
  /** What a line of the log of a listing means beside errors: rclone leaves some things out and says so only there. */
  readonly notice?: (line: LogLine) => ListingNotice | null;
  /** Names that rclone leaves out without a word; asked for beside each whole listing. */
  readonly leftOut?: (signal: AbortSignal) => Promise<ListingOutcome['skipped']>;
}

/** `skipped`: this name was left out. `incomplete`: this folder ('' = the root) was not read to its end. `failed`: nothing of it counts. */
export type ListingNotice =
  | { readonly type: 'skipped'; readonly path: string; readonly reason: SkipReason }
  | { readonly type: 'incomplete'; readonly path: string }
  | { readonly type: 'failed' };

/** Where a source in object storage lies, to see whether it is the destination itself. */
export interface ObjectLocation {
  /** `host:port` in lower case. */
  readonly server: string;
  readonly bucket: string;
  /** Without leading slash; ends in a slash unless empty. */
  readonly prefix: string;
}

/** A server that a run connects to. */
export interface SourceHost {
  readonly host: string;
  readonly port: number;
  /** How, where there are several ways on one port: with TLS or without it, by which protocol, trusting whom. */
  readonly by?: string;
}

/** Everything that differs between source types, once. */
export interface SourceType<Config extends z.ZodType<Record<string, unknown>> = z.ZodObject> {
  readonly name: SourceTypeName;
  readonly label: string;
  readonly config: Config;
  /** Fields that never leave the server; blank in a change means "as stored". */
  readonly secrets: readonly string[];
  /** @throws BackupError `INVALID_INPUT` that names `source_path` */
  path(given: string): string;
  /** What stands in a job card, e.g. `backup@files.example.com:/var/www`. */
  summary(config: z.output<Config>, path: string): string;
  /** Servers that a run connects to; checked by the egress guard before each connection. */
  hosts(config: z.output<Config>): readonly SourceHost[];
  /** The connected account by which it is reached; absent: by what stands in the settings. */
  connection?(config: z.output<Config>): { readonly provider: ProviderName; readonly uuid: string };
  remote(config: z.output<Config>, path: string): RemoteDefinition;
  location(config: z.output<Config>, path: string): ObjectLocation | null;
}

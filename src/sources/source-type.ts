import type { z } from 'zod';
import type { BucketAccess } from '../storage/port.ts';
import type { UsableKey } from './private-key.ts';

/** A source as a job holds it: type, parsed settings (with secrets), path inside of it. */
export interface Source {
  readonly type: SourceTypeName;
  readonly config: Readonly<Record<string, unknown>>;
  readonly path: string;
}

/** Source types that are built. */
export type SourceTypeName = 's3_compatible' | 'aws' | 'sftp';

/** What the transfer program is told about a source. Values are plain; those named in `obscured` it wants in its own disguise. */
export interface RemoteDefinition {
  /** rclone's backend. */
  readonly backend: 's3' | 'sftp';
  readonly options: Readonly<Record<string, string>>;
  readonly obscured: readonly string[];
  /** Path inside of the source, as the source itself spells it (for S3 with the bucket before it). */
  readonly root: string;
  /** What a listing connects to. */
  readonly origin: SourceOrigin;
}

/** Where a source is reached, for who lists it. Holds secrets: such a value lives in a worker's memory only. */
export type SourceOrigin = S3Origin | SftpOrigin;

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

/** Where a source in object storage lies, to see whether it is the destination itself. */
export interface ObjectLocation {
  /** `host:port` in lower case. */
  readonly server: string;
  readonly bucket: string;
  /** Without leading slash; ends in a slash unless empty. */
  readonly prefix: string;
}

/** Everything that differs between source types, once. */
export interface SourceType<Config extends z.ZodObject = z.ZodObject> {
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
  hosts(config: z.output<Config>): readonly { readonly host: string; readonly port: number }[];
  remote(config: z.output<Config>, path: string): RemoteDefinition;
  location(config: z.output<Config>, path: string): ObjectLocation | null;
}

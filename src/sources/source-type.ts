import type { z } from 'zod';

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
  /** Path after the colon. */
  readonly root: string;
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

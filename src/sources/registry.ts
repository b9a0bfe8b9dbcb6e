import type { z } from 'zod';
import { BackupError } from '../errors/backup-error.ts';
import { firstFields, invalidFields, namedFields } from '../errors/invalid-fields.ts';
import { aws, s3Compatible } from './s3.ts';
import { dropbox } from './dropbox.ts';
import { googleDrive } from './google-drive.ts';
import type { ProviderName } from './oauth/providers.ts';
import { nas } from './nas.ts';
import { sftp } from './sftp.ts';
import { smb } from './smb.ts';
import type {
  ObjectLocation,
  RemoteDefinition,
  Source,
  SourceHost,
  SourceType,
  SourceTypeName,
} from './source-type.ts';
import { webdav } from './webdav.ts';

export { atAddress } from './sftp.ts';
export type {
  ListingNotice,
  ObjectLocation,
  Pace,
  RemoteDefinition,
  RemoteOrigin,
  Source,
  SourceOrigin,
  SourceTypeName,
} from './source-type.ts';

/** The one list of source types. */
const types = {
  s3_compatible: s3Compatible,
  aws,
  sftp,
  smb,
  nas,
  webdav,
  google_drive: googleDrive,
  dropbox,
} as unknown as Readonly<Record<SourceTypeName, SourceType>>;

/** Types that jobs will know; until then they are refused, never stored and ignored. */
const announced = ['local_agent'];

export const sourceTypes: readonly { readonly name: SourceTypeName; readonly label: string }[] = Object.values(
  types,
).map(({ name, label }) => ({ name, label }));

/** @throws BackupError `ERR_NOT_AVAILABLE` for a type that is not built, `INVALID_INPUT` for one that nobody knows */
export function sourceType(name: string): SourceType {
  if (Object.hasOwn(types, name)) return types[name as SourceTypeName];
  if (announced.includes(name))
    throw new BackupError(
      'ERR_NOT_AVAILABLE',
      `Sources of the type "${name}" are not available yet. Choose another type.`,
    );
  throw invalidFields([['source_type', 'is not known']]);
}

/**
 * Checks what a form or program gives. Secrets that are blank or absent are taken from `stored`, the source as it is now, if that has the
 * same type.
 * @throws BackupError `ERR_SOURCE_CONFIG` with `details.fields`, `INVALID_INPUT` (path or type), `ERR_NOT_AVAILABLE`
 */
export function parseSource(
  given: { type: string; config: Readonly<Record<string, unknown>>; path: string },
  stored: Source | null = null,
): Source {
  const type = sourceType(given.type);
  const path = type.path(given.path);
  const kept = stored !== null && stored.type === type.name ? stored.config : {};
  const merged: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(given.config)) if (!isBlank(value)) merged[key] = value;
  for (const key of type.secrets) if (merged[key] === undefined && kept[key] !== undefined) merged[key] = kept[key];
  const result = type.config.safeParse(merged);
  if (!result.success) throw configError(result.error);
  return { type: type.name, config: result.data, path };
}

/** A source as it was stored: JSON of its settings. @throws BackupError `ERR_DECRYPT_SOURCE_CONFIG` when that is no valid source */
export function readSource(stored: { type: string; configJson: string; path: string }): Source {
  const type = sourceType(stored.type);
  try {
    return { type: type.name, config: type.config.parse(JSON.parse(stored.configJson)), path: type.path(stored.path) };
  } catch (cause) {
    throw new BackupError('ERR_DECRYPT_SOURCE_CONFIG', undefined, { cause });
  }
}

function configError(error: z.ZodError): BackupError {
  const fields = firstFields(
    error.issues.flatMap((issue): (readonly [string, string])[] =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => [key, 'is not a setting of this source'])
        : [
            [
              issue.path.join('.') || 'source_config',
              issue.message.startsWith('Invalid input') ? 'is missing' : issue.message,
            ],
          ],
    ),
  );
  return new BackupError('ERR_SOURCE_CONFIG', `The settings of the source are not valid. ${namedFields(fields)}.`, {
    details: { fields },
  });
}

function isBlank(value: unknown): boolean {
  return value === undefined || value === null || value === '';
}

/** The settings without secrets, for forms, and which secrets are stored. */
export function publicConfig(source: Source): { config: Record<string, unknown>; secretsSet: string[] } {
  const { secrets } = types[source.type];
  return {
    config: Object.fromEntries(Object.entries(source.config).filter(([key]) => !secrets.includes(key))),
    secretsSet: secrets.filter((key) => source.config[key] !== undefined),
  };
}

/** One line that says where the files come from. */
export function summaryOf(source: Source): string {
  return types[source.type].summary(source.config, source.path);
}

/** Servers that are connected to: for the egress guard, and to see whether a job points to another server than before. */
export function hostsOf(source: Source): readonly SourceHost[] {
  return types[source.type].hosts(source.config);
}

export function remoteOf(source: Source): RemoteDefinition {
  return types[source.type].remote(source.config, source.path);
}

/**
 * True when source and destination overlap: a backup that reads what it writes never ends. `server` is `host:port`.
 * The same server under two names is not seen here; the owner marker inside of the listing is what tells then.
 */
export function isDestination(source: Source, destination: ObjectLocation): boolean {
  const location = types[source.type].location(source.config, source.path);
  if (location === null || location.server !== destination.server || location.bucket !== destination.bucket)
    return false;
  return location.prefix.startsWith(destination.prefix) || destination.prefix.startsWith(location.prefix);
}

/** Nothing can be written there: of a connected account, reading is all that the customer allows. */
export function isReadOnly(source: Pick<Source, 'type'>): boolean {
  return types[source.type].connection !== undefined;
}

/** The connected account by which a source is reached; null: by its own settings. */
export function connectionOf(source: Source): { readonly provider: ProviderName; readonly uuid: string } | null {
  return types[source.type].connection?.(source.config) ?? null;
}

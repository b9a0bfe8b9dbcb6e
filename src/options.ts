import { z } from 'zod';
import { BackupError } from './errors/backup-error.ts';
import { isTimezone } from './schedule/zone.ts';

const list = z.union([
  z.array(z.string()),
  z.string().transform((text) =>
    text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== ''),
  ),
]);
const origin = z.string().refine((text) => URL.parse(text)?.origin === text, {
  error: 'must be an origin such as https://portal.example.com',
});
const count = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

/**
 * The portal's options that are plain values. Each can also be given in the environment, which wins: `env` names it. The worker has
 * a configuration file of its own (docs/worker-deployment.md); where both need the same thing the environment name is the same.
 */
export const optionFields = {
  basePath: {
    env: 'CLOUD_BACKUP_PORTAL_BASE_PATH',
    schema: z
      .string()
      .regex(/^(?:\/[A-Za-z0-9._~-]+)*$/, {
        error: 'must be empty or a path such as /portal, without a slash at its end',
      })
      .default(''),
    description:
      'What a proxy takes off the front of the path before the portal sees it. Links begin with it, then with the path under which the router is mounted. Leave it empty when no proxy changes paths.',
  },
  publicUrl: {
    env: 'CLOUD_BACKUP_PORTAL_PUBLIC_URL',
    schema: z
      .url({ protocol: /^https?$/, error: 'must be an address such as https://portal.example.com/backup' })
      .refine((text) => !/[?#]/.test(text), { error: 'must be an address without "?" and "#"' })
      .transform((text) => text.replace(/\/+$/, ''))
      .optional(),
    description:
      'Where browsers reach the pages: origin, base path and mount path. Needed to connect Google Drive and Dropbox, which send browsers back to `<publicUrl>/oauth/google/callback` and `<publicUrl>/oauth/dropbox/callback`: register these two addresses there.',
  },
  trustProxy: {
    env: 'CLOUD_BACKUP_PORTAL_TRUST_PROXY',
    schema: z.union([z.literal(false), z.literal('false').transform(() => false as const), count(0, 10)]).optional(),
    description:
      'How many proxies stand before the portal, so that X-Forwarded-Host and X-Forwarded-For can be believed that far; false = never. Left out, the "trust proxy" setting of the host app counts.',
  },
  trustedOrigins: {
    env: 'CLOUD_BACKUP_PORTAL_TRUSTED_ORIGINS',
    schema: list.pipe(z.array(origin)).default([]),
    description: 'Further origins whose pages may send changes here, when the portal is reachable under several names.',
  },
  styleOrigins: {
    env: 'CLOUD_BACKUP_PORTAL_STYLE_ORIGINS',
    schema: list.pipe(z.array(origin)).default([]),
    description: "Origins that the host's own style sheet and fonts come from, when it is not the portal's.",
  },
  productName: {
    env: 'CLOUD_BACKUP_PORTAL_PRODUCT_NAME',
    schema: z.string().trim().min(1).max(60).default('Cloud Backup'),
    description: 'What the pages call the product.',
  },
  timezone: {
    env: 'CLOUD_BACKUP_PORTAL_TIMEZONE',
    schema: z
      .string()
      .refine(isTimezone, { error: 'must be a time zone such as Europe/Berlin' })
      .default(() => Intl.DateTimeFormat().resolvedOptions().timeZone),
    description:
      "Time zone of schedules and pages where neither the job nor the client has one. Default: the server's.",
  },
  egressAllow: {
    env: 'CLOUD_BACKUP_EGRESS_ALLOW',
    schema: list.pipe(z.array(z.string().min(1))).default([]),
    description:
      'Hosts (`name`, `name:port`, address) that customers may use as a source although they are internal. Workers need the same list.',
  },
  bodyLimitBytes: {
    env: 'CLOUD_BACKUP_PORTAL_BODY_LIMIT_BYTES',
    schema: count(1024, 16 * 1024 * 1024).default(256 * 1024),
    description: 'The largest request body, in bytes.',
  },
  changesPerMinute: {
    env: 'CLOUD_BACKUP_PORTAL_CHANGES_PER_MINUTE',
    schema: count(1, 100_000).default(120),
    description: 'How many changes one client or admin may send a minute, to each portal process.',
  },
  connectionTestsPerMinute: {
    env: 'CLOUD_BACKUP_PORTAL_CONNECTION_TESTS_PER_MINUTE',
    schema: count(1, 100_000).default(12),
    description: 'How many connection tests one client may ask for a minute, of each portal process.',
  },
  folderLooksPerMinute: {
    env: 'CLOUD_BACKUP_PORTAL_FOLDER_LOOKS_PER_MINUTE',
    schema: count(1, 100_000).default(60),
    description: 'How many folders of sources one client may open a minute to choose one, of each portal process.',
  },
  browsesPerMinute: {
    env: 'CLOUD_BACKUP_PORTAL_BROWSES_PER_MINUTE',
    schema: count(1, 100_000).default(300),
    description:
      'How many looks into restore points (folders, searches, versions, comparisons, downloads) one client may ask for a minute, of each portal process.',
  },
  browseCacheBytes: {
    env: 'CLOUD_BACKUP_PORTAL_BROWSE_CACHE_BYTES',
    schema: count(1024 * 1024, 64 * 1024 * 1024 * 1024).default(160 * 1024 * 1024),
    description:
      'Memory of each portal process for the names in restore points that were looked into lately. A point of a million files takes about 85 MiB; with less memory it is read again.',
  },
  downloadsAtOnce: {
    env: 'CLOUD_BACKUP_PORTAL_DOWNLOADS_AT_ONCE',
    schema: count(1, 1_000).default(3),
    description: 'How many downloads of one client may be under way at the same time, in each portal process.',
  },
} as const satisfies Record<string, { env: string; schema: z.ZodType; description: string }>;

type Fields = typeof optionFields;

/** As the host writes them: all may be left out. */
export type PortalOptionsInput = { readonly [Name in keyof Fields]?: z.input<Fields[Name]['schema']> };
/** With all defaults. */
export type PortalOptions = z.output<z.ZodObject<{ -readonly [Name in keyof Fields]: Fields[Name]['schema'] }>>;

/**
 * @param given options by name; other names are mistakes.
 * @param env environment; a variable that is set and not empty wins.
 * @throws BackupError `ERR_CONFIG_INVALID` that names every mistake at once
 */
export function parseOptions(
  given: PortalOptionsInput,
  env: Readonly<Record<string, string | undefined>> = {},
): PortalOptions {
  const schema = z.strictObject(
    Object.fromEntries(Object.entries(optionFields).map(([name, field]) => [name, field.schema])) as {
      -readonly [Name in keyof Fields]: Fields[Name]['schema'];
    },
  );
  const merged: Record<string, unknown> = { ...given };
  const fromEnv = new Set<string>();
  for (const [name, field] of Object.entries(optionFields)) {
    const value = env[field.env];
    if (value === undefined || value === '') continue;
    merged[name] = value;
    fromEnv.add(name);
  }
  const result = schema.safeParse(merged);
  if (result.success) return result.data;
  const mistakes = result.error.issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => `${key}: is not an option`);
    const name = String(issue.path[0]);
    const place = fromEnv.has(name) ? optionFields[name as keyof Fields].env : issue.path.join('.');
    return [`${place}: ${issue.message}`];
  });
  throw invalidOptions(mistakes);
}

const text = z.string().min(1, { error: 'is missing' });
const settings = z.discriminatedUnion('driver', [
  z.strictObject({ driver: z.literal('sqlite'), filename: text }),
  z.strictObject({
    driver: z.literal('mysql'),
    host: text.optional(),
    port: z.number().int().min(1).max(65_535).optional(),
    socketPath: text.optional(),
    database: text,
    username: text,
    password: z.string(),
    maxConnections: z.number().int().min(1).optional(),
  }),
]);

/** What is wrong with the option `database`: nothing with a knex instance or an open `Database`, as far as can be seen here. */
export function databaseMistakes(given: unknown): string[] {
  if (given === undefined || given === null) return ['database: is needed'];
  if (typeof given === 'function' || (typeof given === 'object' && 'knex' in given)) return [];
  const result = settings.safeParse(given);
  if (result.success) return [];
  return result.error.issues.map((issue) => `${['database', ...issue.path].join('.')}: ${issue.message}`);
}

export function invalidOptions(mistakes: readonly string[]): BackupError {
  const number = mistakes.length === 1 ? 'one mistake' : `${mistakes.length} mistakes`;
  return new BackupError(
    'ERR_CONFIG_INVALID',
    `The options of createCloudBackup hold ${number}.\n${mistakes.map((mistake) => `  ${mistake}`).join('\n')}`,
    { details: { mistakes } },
  );
}

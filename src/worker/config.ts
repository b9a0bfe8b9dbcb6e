import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { parse } from 'yaml';
import { z } from 'zod';
import type { DatabaseSettings } from '../database/connect.ts';
import { BackupError } from '../errors/backup-error.ts';

const text = z.string().trim().min(1);
const port = z.coerce.number().int().min(1).max(65535);
const count = z.coerce.number().int().min(0);
const positive = z.coerce.number().int().min(1);
const seconds = z.coerce.number().positive();
const list = z.union([
  z.array(text),
  z.string().transform((line) =>
    line
      .split(',')
      .map((part) => part.trim())
      .filter(Boolean),
  ),
]);
const level = z
  .string()
  .toLowerCase()
  .pipe(z.enum(['error', 'warn', 'info', 'debug']));
/** `5s`, `500ms`, `1m`, or seconds. */
const duration = z.union([
  z.number().positive(),
  z
    .string()
    .regex(/^\d+(\.\d+)?(ms|s|m)$/, 'must look like 500ms, 5s or 1m')
    .transform((value) => Number.parseFloat(value) * (value.endsWith('ms') ? 0.001 : value.endsWith('m') ? 60 : 1)),
]);

const database = z
  .strictObject({
    driver: z.enum(['mysql', 'sqlite']).default('mysql'),
    filename: text.optional(),
    host: text.default('127.0.0.1'),
    port: port.default(3306),
    socket_path: text.optional(),
    database: text.optional(),
    username: text.optional(),
    password: z.string().default(''),
    max_connections: positive.default(10),
    /** Accepted because older configurations name it; idle connections are closed by themselves. */
    max_idle_connections: count.optional(),
  })
  .superRefine((value, context) => {
    const need = value.driver === 'sqlite' ? (['filename'] as const) : (['database', 'username'] as const);
    for (const key of need)
      if (!value[key])
        context.addIssue({ code: 'custom', path: [key], message: `is needed with driver ${value.driver}` });
  });

/**
 * The worker's configuration file, with the keys that earlier workers had and some of our own. Every key can be given as
 * `CLOUD_BACKUP_<SECTION>_<KEY>` in the environment, which wins.
 */
export const configSchema = z.strictObject({
  database,
  worker: z
    .strictObject({
      hostname: text.default(hostname()),
      poll_interval_seconds: seconds.default(2),
      max_concurrent_jobs: positive.default(5),
      /** KiB/s for each run; 0 = unlimited. The module setting and the job's own limit bind too: the smallest wins. */
      max_bandwidth_kbps: count.default(0),
      /** A run whose owner is silent for lease + margin is taken over. */
      lease_seconds: seconds.default(60),
      lease_margin_seconds: seconds.default(15),
      /** Port of the health endpoint on loopback; 0 = none. */
      health_port: z.coerce.number().int().min(0).max(65535).default(0),
      health_host: text.default('127.0.0.1'),
    })
    .prefault({}),
  rclone: z
    .strictObject({
      /** Empty: the pinned rclone that `npm run tools -- rclone` installs. Another must be 1.75 or newer. */
      binary_path: z.string().trim().optional(),
      config_dir: text.optional(),
      log_dir: text.optional(),
      run_dir: text.default('/var/lib/e3-cloudbackup/runs'),
      stats_interval: duration.default(1),
      log_level: z
        .string()
        .toUpperCase()
        .pipe(z.enum(['DEBUG', 'INFO', 'NOTICE', 'ERROR']))
        .default('INFO'),
      transfers: positive.default(48),
      /** Megabytes that the rclone of one run may use, about: its buffers and what it lists at once are computed from it. */
      memory_mb: z.coerce.number().int().min(128).default(512),
    })
    .prefault({}),
  destination: z
    .strictObject({
      endpoint: z.url({ protocol: /^https?$/ }).optional(),
      region: text.optional(),
      provider: text.optional(),
    })
    .prefault({}),
  installation: z
    .strictObject({
      /** Stands in the owner marker of every prefix: the same in all processes of one installation, different in every other. */
      name: text.default('default'),
      /** Further database identities that are ours: replicas, a fail-over server. */
      accepted_databases: list.default([]),
    })
    .prefault({}),
  host: z
    .strictObject({
      /** Table or view that holds the module's settings; deploy/mariadb-grants.sql makes a view without secrets. */
      settings_table: text.regex(/^\w+$/, 'must be the name of a table or view').default('tbladdonmodules'),
      module: text.default('cloudstorage'),
    })
    .prefault({}),
  egress: z
    .strictObject({
      /** Hosts (`name`, `name:port`, address) that customers may use although they resolve to private addresses. */
      allow: list.default([]),
    })
    .prefault({}),
  logging: z
    .strictObject({
      level: level.default('info'),
      file: text.optional(),
      max_size_mb: positive.default(100),
      max_backups: count.default(5),
      max_age_days: count.default(30),
    })
    .prefault({}),
});

export type WorkerConfig = z.infer<typeof configSchema>;

/** Reads YAML, applies the environment, and reports every mistake at once (ERR_CONFIG_INVALID, one line each). */
export function loadConfig(file: string | undefined, environment: NodeJS.ProcessEnv = process.env): WorkerConfig {
  return parseConfig(file === undefined ? {} : readYaml(file), environment, file);
}

export function parseConfig(
  document: unknown,
  environment: NodeJS.ProcessEnv = {},
  file = 'the configuration',
): WorkerConfig {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw new BackupError('ERR_CONFIG_INVALID', `${file}: must hold sections such as "database:" and "worker:".`);
  }
  const result = configSchema.safeParse(withEnvironment(document as Record<string, unknown>, environment));
  if (result.success) return result.data;
  const lines = result.error.issues.flatMap(describeIssue);
  throw new BackupError(
    'ERR_CONFIG_INVALID',
    `${file}: ${lines.length === 1 ? 'one mistake' : `${lines.length} mistakes`}.\n${lines.map((line) => `  ${line}`).join('\n')}`,
    {
      details: { mistakes: lines },
    },
  );
}

function readYaml(file: string): unknown {
  try {
    return parse(readFileSync(file, 'utf8')) ?? {};
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new BackupError(
      'ERR_CONFIG_INVALID',
      missing
        ? `There is no configuration file "${file}".`
        : `"${file}" cannot be read as YAML: ${String((error as Error).message).split('\n')[0]}`,
      {
        cause: error,
      },
    );
  }
}

function withEnvironment(document: Record<string, unknown>, environment: NodeJS.ProcessEnv): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...document };
  for (const [section, schema] of Object.entries(configSchema.shape)) {
    const shape = sectionShape(schema);
    for (const key of Object.keys(shape)) {
      const value = environment[`CLOUD_BACKUP_${section}_${key}`.toUpperCase()];
      if (value === undefined || value === '') continue;
      const current = merged[section];
      merged[section] = { ...(typeof current === 'object' && current !== null ? current : {}), [key]: value };
    }
  }
  merged['database'] ??= {};
  return merged;
}

function sectionShape(schema: z.ZodType): Record<string, unknown> {
  if (schema instanceof z.ZodObject) return schema.shape as Record<string, unknown>;
  if (schema instanceof z.ZodPrefault) return sectionShape(schema.def.innerType as z.ZodType);
  return {};
}

function describeIssue(issue: z.core.$ZodIssue): string[] {
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => `${[path, key].filter(Boolean).join('.')}: is not a key of this file`);
  return [`${path || '(top)'}: ${issue.message}`];
}

/** The part that opens the database. */
export function databaseSettings(config: WorkerConfig): DatabaseSettings {
  const given = config.database;
  if (given.driver === 'sqlite') return { driver: 'sqlite', filename: given.filename ?? '' };
  return {
    driver: 'mysql',
    host: given.host,
    port: given.port,
    socketPath: given.socket_path,
    database: given.database ?? '',
    username: given.username ?? '',
    password: given.password,
    maxConnections: given.max_connections,
  };
}

import { z } from 'zod';

/**
 * Short requests that a portal leaves for any worker, because the portal itself never connects to an address that a customer gave. A
 * payload is sealed JSON (label `command.payload`); a result is JSON without secrets.
 */
export const TEST_CONNECTION = 'test_connection';
/** Has the same payload; `source_path` is the folder to look into. */
export const BROWSE_SOURCE = 'browse_source';

/** Milliseconds: how long the portal waits, and after which the request is void. */
export const COMMAND_TIMEOUT_MS = 10_000;

export const TestConnectionPayload = z.object({
  source_type: z.string(),
  /** As the registry of source types has checked it; secrets are plain here. */
  source_config: z.record(z.string(), z.unknown()),
  source_path: z.string(),
  /** SFTP: the pinned host key; null = take what the server shows and report it. */
  host_key: z.string().nullable(),
});
export type TestConnectionPayload = z.infer<typeof TestConnectionPayload>;

/** Of a test that was carried out, whatever it found. */
export const TestConnectionResult = z.object({
  ok: z.boolean(),
  /** Error code of the catalogue when it is not ok. */
  code: z.string().nullable().default(null),
  /** Public key that the SFTP server showed, one line; null for other sources. */
  host_key: z.string().nullable().default(null),
  /** Its fingerprint, `SHA256:…`. */
  fingerprint: z.string().nullable().default(null),
  /** Some names that lie at the path. */
  sample: z.array(z.string()).default([]),
});
export type TestConnectionResult = z.infer<typeof TestConnectionResult>;

/** Folders that lie at the path, at most this many. */
export const MAX_FOLDERS = 500;

export const BrowseSourceResult = z.object({
  /** Error code of the catalogue; null when the folder could be read. */
  code: z.string().nullable().default(null),
  folders: z.array(z.object({ name: z.string(), path: z.string() })).default([]),
  truncated: z.boolean().default(false),
});
export type BrowseSourceResult = z.infer<typeof BrowseSourceResult>;

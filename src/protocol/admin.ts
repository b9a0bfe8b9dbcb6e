import { z } from 'zod';
import { RunView } from './run.ts';
import { timeFields } from './times.ts';

/** A run as operators see it. */
export const AdminRunView = RunView.omit({ point: true }).extend({
  client_id: z.number(),
  /** `Ada Lovelace`, or null when the host does not know the client any more. */
  client_name: z.string().nullable(),
  client_email: z.string().nullable(),
  worker_host: z.string().nullable(),
  /** A cancel was asked for and the run has not ended yet. */
  stopping: z.boolean(),
  phase: z.string().nullable(),
  speed_bytes_per_sec: z.number(),
});
export type AdminRunView = z.infer<typeof AdminRunView>;

export const WorkerView = z.object({
  worker_id: z.string(),
  hostname: z.string(),
  version: z.string(),
  tools: z.record(z.string(), z.string()),
  state: z.enum(['running', 'stopping', 'stopped']),
  /** It has reported within the last minute. */
  alive: z.boolean(),
  max_concurrent: z.number(),
  active_runs: z.number(),
  ...timeFields('started_at', 'last_seen_at'),
});
export type WorkerView = z.infer<typeof WorkerView>;

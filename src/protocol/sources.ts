import { z } from 'zod';
import { timeFields } from './times.ts';

export const SourceProvider = z.enum(['google_drive', 'dropbox'], { error: 'must be google_drive or dropbox' });

/** An account that the client has connected. */
export const ConnectionSummary = z.object({
  id: z.string(),
  provider: z.string(),
  provider_label: z.string(),
  display_name: z.string(),
  account_email: z.string().nullable(),
  /** `error`: the service refuses the authorization, so that it must be given again; `revoked`: disconnected. */
  status: z.enum(['active', 'error', 'revoked']),
  /** One sentence about the state. */
  message: z.string(),
  /** Jobs that use it. */
  jobs: z.number(),
  ...timeFields('connected_at'),
});
export type ConnectionSummary = z.infer<typeof ConnectionSummary>;

export const ProviderSummary = z.object({
  provider: z.string(),
  label: z.string(),
  /** The operator has set it up. */
  available: z.boolean(),
});
export type ProviderSummary = z.infer<typeof ProviderSummary>;

/** A folder, shared drive or file of a Google Drive. */
export const DriveItem = z.object({
  id: z.string(),
  name: z.string(),
  type: z.enum(['drive', 'folder', 'file']),
  parents: z.array(z.string()),
  /** Id of the shared drive that it lies in; null: in My Drive. */
  drive_id: z.string().nullable(),
});
export type DriveItem = z.infer<typeof DriveItem>;

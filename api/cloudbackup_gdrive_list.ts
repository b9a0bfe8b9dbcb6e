import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { clearable, flag, line, number, SourceId } from '../src/protocol/fields.ts';
import { DriveItem } from '../src/protocol/sources.ts';

const driveId = line({ max: 128 }).regex(/^[A-Za-z0-9_-]+$/, { error: 'must be an id of Google Drive' });

/**
 * Folders of a connected Google Drive, for a picker: shared drives (`mode=drives`), or what lies in a folder of My Drive or of a shared
 * drive (`driveId`). `q` is a part of the names that are wanted.
 */
export default endpoint({
  name: 'cloudbackup_gdrive_list',
  method: 'GET',
  caller: 'client',
  rate: 'browse',
  input: z.object({
    source_connection_id: SourceId,
    mode: z.enum(['drives', 'children'], { error: 'must be drives or children' }).default('children'),
    parentId: clearable(driveId).optional(),
    driveId: clearable(driveId).optional(),
    q: clearable(line({ max: 100 })).optional(),
    includeFiles: flag().default(false),
    pageToken: clearable(z.string().max(4_096, { error: 'is too long' })).optional(),
    pageSize: number({ min: 1, max: 200 }).default(100),
  }),
  output: z.object({ items: z.array(DriveItem), nextPageToken: z.string().nullable() }),
  errors: [
    'SOURCE_NOT_FOUND',
    'SOURCE_NOT_CONNECTED',
    'PATH_NOT_FOUND',
    'ERR_GDRIVE_NO_CLIENT_CREDENTIALS',
    'ERR_GDRIVE_NO_REFRESH_TOKEN',
    'ERR_GDRIVE_SOURCE_LOOKUP',
    'ERR_GDRIVE_REFRESH_PRECHECK',
    'ERR_SOURCE_TOKEN',
    'ERR_PERMISSION',
    'ERR_RATE_LIMIT',
    'ERR_NETWORK',
    'ERR_HOST_UNKNOWN',
    'ERR_CONNECTION_REFUSED',
    'ERR_TLS',
  ],
  handle: async ({ client, input }) =>
    await client.sources.driveItems(input.source_connection_id, {
      mode: input.mode,
      parentId: input.parentId ?? input.driveId ?? 'root',
      driveId: input.driveId ?? null,
      text: input.q ?? '',
      includeFiles: input.includeFiles,
      pageToken: input.pageToken ?? null,
      pageSize: input.pageSize,
    }),
});

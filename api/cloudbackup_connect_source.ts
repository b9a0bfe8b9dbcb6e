import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { SourceId } from '../src/protocol/fields.ts';
import { SourceProvider } from '../src/protocol/sources.ts';

/**
 * Begins to connect an account at Google Drive or Dropbox, or to authorize a connection again (`source_id`). Answers with the address
 * at the service that the browser goes to; the service sends it back to a page that calls `cloudbackup_finish_source`.
 */
export default endpoint({
  name: 'cloudbackup_connect_source',
  method: 'POST',
  caller: 'client',
  input: z.object({ provider: SourceProvider.optional(), source_id: SourceId.optional() }),
  output: z.object({ url: z.string() }),
  errors: [
    'SOURCE_NOT_FOUND',
    'OAUTH_NO_ADDRESS',
    'ERR_GDRIVE_NO_CLIENT_CREDENTIALS',
    'ERR_DROPBOX_NO_CLIENT_CREDENTIALS',
  ],
  handle: async ({ client, input }) =>
    await client.sources.begin({ provider: input.provider, sourceId: input.source_id }),
});

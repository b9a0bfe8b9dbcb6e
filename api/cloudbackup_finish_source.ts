import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { clearable } from '../src/protocol/fields.ts';

const token = z.string({ error: 'is missing' }).min(1, { error: 'is missing' }).max(2_048, { error: 'is too long' });

/**
 * Finishes an authorization with what the service gave the browser (`state`, and `code` unless the person declined). Works once, within
 * fifteen minutes, for the client who began it. The same account connected twice is one connection.
 */
export default endpoint({
  name: 'cloudbackup_finish_source',
  method: 'POST',
  caller: 'client',
  rate: 'connection',
  input: z.object({ state: token, code: clearable(token).optional() }),
  output: z.object({ source_id: z.string(), message: z.string() }),
  errors: [
    'OAUTH_STATE_INVALID',
    'OAUTH_REFUSED',
    'OAUTH_SCOPE_MISSING',
    'OAUTH_NO_REFRESH_TOKEN',
    'OAUTH_OTHER_ACCOUNT',
    'OAUTH_NO_ADDRESS',
    'SOURCE_NOT_FOUND',
    'ERR_GDRIVE_NO_CLIENT_CREDENTIALS',
    'ERR_DROPBOX_NO_CLIENT_CREDENTIALS',
    'ERR_NETWORK',
    'ERR_HOST_UNKNOWN',
    'ERR_CONNECTION_REFUSED',
    'ERR_TLS',
    'ERR_RATE_LIMIT',
  ],
  handle: async ({ client, input }) => {
    const { sourceId, isNew } = await client.sources.finish({ state: input.state, code: input.code ?? null });
    return { source_id: sourceId, message: isNew ? 'The account is connected.' : 'The account is authorized again.' };
  },
});

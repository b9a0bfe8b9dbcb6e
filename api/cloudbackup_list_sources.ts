import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { clearable } from '../src/protocol/fields.ts';
import { ConnectionSummary, ProviderSummary, SourceProvider } from '../src/protocol/sources.ts';

/** Accounts at Google Drive and Dropbox that the client has connected, and which services can be connected here. */
export default endpoint({
  name: 'cloudbackup_list_sources',
  method: 'GET',
  caller: 'client',
  input: z.object({ provider: clearable(SourceProvider).optional() }),
  output: z.object({ sources: z.array(ConnectionSummary), providers: z.array(ProviderSummary) }),
  errors: [],
  handle: async ({ client, input }) => await client.sources.list({ provider: input.provider ?? undefined }),
});

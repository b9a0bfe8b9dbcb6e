import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { SourceId } from '../src/protocol/fields.ts';

/**
 * Disconnects an account: the stored authorization is forgotten, and withdrawn at the service (`withdrawn`: it was told). Jobs that use
 * the connection stay, with all their restore points, and cannot run until it is authorized again.
 */
export default endpoint({
  name: 'cloudbackup_disconnect_source',
  method: 'POST',
  caller: 'client',
  rate: 'connection',
  input: z.object({ id: SourceId }),
  output: z.object({ withdrawn: z.boolean(), message: z.string() }),
  errors: ['SOURCE_NOT_FOUND'],
  handle: async ({ client, input }) => {
    const { withdrawn } = await client.sources.disconnect(input.id);
    return {
      withdrawn,
      message: withdrawn
        ? 'The account is disconnected, and the service has been told.'
        : 'The account is disconnected here. The service could not be told: remove the access in its account settings too.',
    };
  },
});

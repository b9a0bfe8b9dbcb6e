import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { SettingsView } from '../src/protocol/job.ts';

/** The client's defaults: who gets mails about what, and its time zone. */
export default endpoint({
  name: 'cloudbackup_get_settings',
  method: 'GET',
  caller: 'client',
  input: z.object({}),
  output: z.object({ settings: SettingsView }),
  errors: [],
  handle: async ({ client }) => ({ settings: await client.settings.get() }),
});

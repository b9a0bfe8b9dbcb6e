import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { clearable, EmailList, flag, line } from '../src/protocol/fields.ts';

/** Changes the client's defaults. What is absent stays; an empty list of addresses means the client's own address. */
export default endpoint({
  name: 'cloudbackup_update_settings',
  method: 'POST',
  caller: 'client',
  input: z.object({
    default_notify_emails: EmailList.optional(),
    default_notify_on_success: flag().optional(),
    default_notify_on_warning: flag().optional(),
    default_notify_on_failure: flag().optional(),
    default_timezone: clearable(line({ max: 64 })).optional(),
  }),
  output: z.object({ message: z.string() }),
  errors: [],
  handle: async ({ client, input }) => {
    await client.settings.update(input);
    return { message: 'The settings were saved.' };
  },
});

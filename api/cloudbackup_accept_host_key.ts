import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { JobId, line } from '../src/protocol/fields.ts';

/**
 * Trusts the SFTP server's host key that was seen and refused. `fingerprint` is the one that the page showed: if the server has shown
 * yet another key since, nothing is accepted.
 */
export default endpoint({
  name: 'cloudbackup_accept_host_key',
  method: 'POST',
  caller: 'client',
  input: z.object({ job_id: JobId, fingerprint: line({ min: 1, max: 200 }) }),
  output: z.object({ message: z.string() }),
  errors: ['JOB_NOT_FOUND', 'CONFLICT'],
  handle: async ({ client, input }) => {
    await client.jobs.acceptHostKey(input.job_id, input.fingerprint);
    return { message: 'The host key is accepted.' };
  },
});

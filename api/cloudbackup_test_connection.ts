import { endpoint } from '../src/http/endpoint.ts';
import { ConnectionRequest } from '../src/protocol/job-input.ts';
import { ConnectionView } from '../src/protocol/job.ts';

/**
 * Has a worker look whether a source answers; nothing is written anywhere. Takes the fields of the source as `cloudbackup_create_job`
 * does, or `job_id` for what a job has stored, or both: secrets that are left blank are then the stored ones. Waits up to ten seconds.
 */
export default endpoint({
  name: 'cloudbackup_test_connection',
  method: 'POST',
  caller: 'client',
  rate: 'connection',
  input: ConnectionRequest,
  output: ConnectionView,
  errors: [
    'JOB_NOT_FOUND',
    'NO_WORKER',
    'COMMAND_TIMEOUT',
    'HOST_NOT_ALLOWED',
    'ERR_HOST_UNKNOWN',
    'ERR_SOURCE_CONFIG',
    'ERR_NOT_AVAILABLE',
    'ERR_DECRYPT_SOURCE_CONFIG',
  ],
  handle: async ({ client, input }) => await client.connections.test(input),
});

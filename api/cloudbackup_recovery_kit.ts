import { z } from 'zod';
import { downloadEndpoint } from '../src/http/endpoint.ts';
import { JobId } from '../src/protocol/fields.ts';

/**
 * The recovery kit of an encrypted job, as a zip: its passwords, a configuration of rclone, and the script that restores without this system.
 * `confirmation` is the customer's password where the host can check it, else the name of the job. Each download, and each one that was
 * refused, is written to the audit log. Also of a deleted job, as long as its data is there.
 */
export default downloadEndpoint({
  name: 'cloudbackup_recovery_kit',
  method: 'POST',
  rate: 'connection',
  input: z.object({ job_id: JobId, confirmation: z.string().max(1_000).default('') }),
  errors: [
    'JOB_NOT_FOUND',
    'NOT_ENCRYPTED',
    'CONFIRMATION_FAILED',
    'ERR_CRYPT_KEYS_MISSING',
    'ERR_KEY_UNKNOWN',
    'ERR_SECRET_CORRUPT',
    'ERR_DEST_BUCKET_NOT_FOUND',
    'ERR_DECRYPT_DEST_ACCESS_KEY',
    'ERR_DECRYPT_DEST_SECRET_KEY',
    'ERR_CONFIG_INVALID',
  ],
  open: async ({ client, input }) => await client.recovery.kit(input.job_id, input.confirmation),
});

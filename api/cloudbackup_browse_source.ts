import { endpoint } from '../src/http/endpoint.ts';
import { BrowseSourceRequest } from '../src/protocol/job-input.ts';
import { SourceFolders } from '../src/protocol/job.ts';

/**
 * Has a worker list the folders of a source that lie directly in `path`, for a picker; nothing is written anywhere. Takes what
 * `cloudbackup_test_connection` takes. A folder's `path` is what `source_path` of a job would be; folders whose names cannot be written
 * there are left out. Waits up to ten seconds.
 */
export default endpoint({
  name: 'cloudbackup_browse_source',
  method: 'POST',
  caller: 'client',
  rate: 'folders',
  input: BrowseSourceRequest,
  output: SourceFolders,
  errors: [
    'JOB_NOT_FOUND',
    'NO_WORKER',
    'COMMAND_TIMEOUT',
    'HOST_NOT_ALLOWED',
    'ERR_HOST_UNKNOWN',
    'ERR_SOURCE_CONFIG',
    'ERR_NOT_AVAILABLE',
    'ERR_DECRYPT_SOURCE_CONFIG',
    'ERR_SOURCE_AUTH',
    'ERR_S3_AUTH',
    'ERR_S3_BUCKET_NOT_FOUND',
    'ERR_SFTP_AUTH',
    'ERR_SFTP_HOST_KEY_CHANGED',
    'ERR_SOURCE_NOT_FOUND',
    'ERR_SOURCE_LISTING',
    'ERR_PERMISSION',
    'ERR_CONNECTION_REFUSED',
    'ERR_NETWORK',
    'ERR_TLS',
    'ERR_RATE_LIMIT',
  ],
  handle: async ({ client, input }) => await client.connections.browse(input),
});

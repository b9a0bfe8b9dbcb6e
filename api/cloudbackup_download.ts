import { z } from 'zod';
import { readingErrors } from '../src/browse/reading-errors.ts';
import { downloadEndpoint } from '../src/http/endpoint.ts';
import { PointPaths } from '../src/protocol/browse.ts';
import { PointId } from '../src/protocol/fields.ts';

/**
 * Files of a restore point as one zip or tar archive, or one file as itself. Every file's size and hash are checked on the way. Files that are
 * missing or seen to be damaged beforehand are left out of an archive and named in `RESTORE-REPORT.txt` at its end; what goes wrong
 * while a file is being sent cuts the connection, so that nobody takes the download for whole. The point is held meanwhile. A zip has
 * names that Windows can write, and at most 50,000 files; a tar has the names as they are. Pages of other sites cannot start it.
 */
export default downloadEndpoint({
  name: 'cloudbackup_download',
  rate: 'browse',
  input: z.object({
    point_id: PointId,
    paths: PointPaths.default([]),
    format: z.enum(['zip', 'tar', 'file']).default('zip'),
  }),
  errors: [
    'POINT_NOT_FOUND',
    'PATH_NOT_FOUND',
    'TOO_MANY_DOWNLOADS',
    'DOWNLOAD_TOO_LARGE',
    'ERR_OBJECT_MISSING',
    'ERR_RESTORE_MISMATCH',
    'ERR_HOLD_LOST',
    ...readingErrors,
  ],
  open: async ({ client, input: { point_id: pointId, paths, format } }) =>
    await client.browse.download({ pointId, paths, format }),
});

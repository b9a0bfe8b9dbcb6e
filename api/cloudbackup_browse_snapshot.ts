import { z } from 'zod';
import { readingErrors } from '../src/browse/reading-errors.ts';
import { endpoint } from '../src/http/endpoint.ts';
import { FolderView, PlaceCursor, PointPath } from '../src/protocol/browse.ts';
import { limit, PointId } from '../src/protocol/fields.ts';

/** One folder of a restore point, page by page: its folders first, then its files, each in the order of the bytes of their names. */
export default endpoint({
  name: 'cloudbackup_browse_snapshot',
  method: 'GET',
  caller: 'client',
  rate: 'browse',
  input: z.object({
    point_id: PointId,
    folder: PointPath.default(''),
    cursor: PlaceCursor,
    limit: limit({ fallback: 100, max: 500 }),
  }),
  output: FolderView,
  errors: ['POINT_NOT_FOUND', 'PATH_NOT_FOUND', ...readingErrors],
  handle: async ({ client, input: { point_id: pointId, folder, cursor, limit: most } }) =>
    await client.browse.folder({ pointId, folder, cursor, limit: most }),
});

import { z } from 'zod';
import { readingErrors } from '../src/browse/reading-errors.ts';
import { endpoint } from '../src/http/endpoint.ts';
import { ComparisonView, PlaceCursor, PointPath } from '../src/protocol/browse.ts';
import { limit, PointId } from '../src/protocol/fields.ts';

/** What was added, removed and changed in the restore point `point_id` against `other_point_id`, an earlier one of the same job. */
export default endpoint({
  name: 'cloudbackup_compare_snapshots',
  method: 'GET',
  caller: 'client',
  rate: 'browse',
  input: z.object({
    point_id: PointId,
    other_point_id: PointId,
    folder: PointPath.default(''),
    cursor: PlaceCursor,
    limit: limit({ fallback: 100, max: 500 }),
  }),
  output: ComparisonView,
  errors: ['POINT_NOT_FOUND', ...readingErrors],
  handle: async ({ client, input }) =>
    await client.browse.compare({
      pointId: input.point_id,
      otherId: input.other_point_id,
      folder: input.folder,
      cursor: input.cursor,
      limit: input.limit,
    }),
});

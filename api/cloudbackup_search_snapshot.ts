import { z } from 'zod';
import { readingErrors } from '../src/browse/reading-errors.ts';
import { endpoint } from '../src/http/endpoint.ts';
import { PlaceCursor, PointPath, SearchView } from '../src/protocol/browse.ts';
import { limit, line, PointId } from '../src/protocol/fields.ts';

/**
 * Finds files and folders of a restore point by a part of their name, whatever its case; with a slash in it, by a part of their path. Ends when
 * the page is full or the time for one request is up: `searched_files` says how far it came, and `next` goes on from there.
 */
export default endpoint({
  name: 'cloudbackup_search_snapshot',
  method: 'GET',
  caller: 'client',
  rate: 'browse',
  input: z.object({
    point_id: PointId,
    query: line({ min: 1, max: 200 }),
    folder: PointPath.default(''),
    cursor: PlaceCursor,
    limit: limit({ fallback: 100, max: 500 }),
  }),
  output: SearchView,
  errors: ['POINT_NOT_FOUND', 'PATH_NOT_FOUND', ...readingErrors],
  handle: async ({ client, input: { point_id: pointId, query, folder, cursor, limit: most } }) =>
    await client.browse.search({ pointId, text: query, folder, cursor, limit: most }),
});

import { z } from 'zod';
import { Cursor } from '../../protocol/fields.ts';
import { page, view } from '../page.ts';
import { runRow } from './rows.ts';

/** The runs of all jobs of the client, newest first. */
export const runsPage = page({
  path: '/runs',
  caller: 'client',
  navigation: 'Runs',
  query: z.object({ cursor: Cursor }),
  handle: async ({ client, query }) => {
    const { rows, next } = await client.runs.list({ cursor: query.cursor, limit: 50 });
    return view('pages/runs.njk', {
      runs: { rows: rows.map(runRow), next, first: query.cursor === undefined },
    });
  },
});

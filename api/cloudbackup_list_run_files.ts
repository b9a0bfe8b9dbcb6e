import { z } from 'zod';
import { endpoint } from '../src/http/endpoint.ts';
import { limit, line, number, RunId } from '../src/protocol/fields.ts';
import { RunFileKindField, RunFileTotals, RunFileView } from '../src/protocol/proofs.ts';

/**
 * The files of a run that were not as they should be: carried, failed and skipped ones of a backup; of a validation or restore test those
 * that are missing, differ, could be compared by size only, or changed at the source since. Ten thousand are kept by name; `totals`
 * counts all.
 */
export default endpoint({
  name: 'cloudbackup_list_run_files',
  method: 'GET',
  caller: 'client',
  input: z.object({
    run_id: RunId,
    kind: RunFileKindField.optional(),
    /** Part of the path; upper and lower case are the same. */
    text: line({ max: 200 }).optional(),
    /** `next` of the page before. */
    after: number({ min: 0, max: Number.MAX_SAFE_INTEGER }).default(0),
    limit: limit({ fallback: 100, max: 1000 }),
  }),
  output: z.object({ files: z.array(RunFileView), next: z.number().nullable(), totals: RunFileTotals }),
  errors: ['RUN_NOT_FOUND'],
  handle: async ({ client, input: { run_id: runId, kind, text, after, limit: most } }) => {
    const [{ rows, next }, totals] = await Promise.all([
      client.proofs.files(runId, { kind, text, after, limit: most }),
      client.proofs.fileTotals(runId),
    ]);
    return { files: rows, next, totals };
  },
});

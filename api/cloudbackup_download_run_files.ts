import { z } from 'zod';
import { csvOf } from '../src/http/csv.ts';
import { downloadEndpoint } from '../src/http/endpoint.ts';
import { line, RunId } from '../src/protocol/fields.ts';
import { RunFileKindField } from '../src/protocol/proofs.ts';

/** The same files as `cloudbackup_list_run_files` as a CSV file: kind, reason, code and path, safe to be opened in a spreadsheet. */
export default downloadEndpoint({
  name: 'cloudbackup_download_run_files',
  input: z.object({ run_id: RunId, kind: RunFileKindField.optional(), text: line({ max: 200 }).optional() }),
  errors: ['RUN_NOT_FOUND'],
  rate: 'browse',
  open: async ({ client, input: { run_id: runId, kind, text } }) => {
    // A run that is not there is told before anything is sent.
    await client.proofs.fileTotals(runId);
    return {
      fileName: `run-${runId}-files.csv`,
      contentType: 'text/csv; charset=utf-8',
      length: null,
      body: () => csvOf(['kind', 'reason', 'code', 'path'], rows(client.proofs.allFiles(runId, { kind, text }))),
      close: () => Promise.resolve(),
    };
  },
});

async function* rows(
  files: AsyncIterable<{ kind: string; reason: string; code: string; path: string }>,
): AsyncGenerator<string[]> {
  for await (const { kind, reason, code, path } of files) yield [kind, reason, code, path];
}

import { z } from 'zod';
import type { ListingOutcome } from '../../engines/port.ts';
import { BackupError } from '../../errors/backup-error.ts';
import { pathOfNativeName } from '../../layout/encoding.ts';
import type { AccessTokens } from './access-tokens.ts';
import { CloudApi } from './cloud-api.ts';
import type { CloudAnswer, CloudHttp } from './https.ts';

const API = 'https://api.dropboxapi.com/2/files';

const Page = z.object({
  entries: z.array(
    z.object({
      path_display: z.string().default(''),
      is_downloadable: z.boolean().default(true),
      export_info: z
        .object({ export_as: z.string().optional(), export_options: z.array(z.string()).default([]) })
        .optional(),
    }),
  ),
  cursor: z.string(),
  has_more: z.boolean(),
});

/** Forms in which rclone takes documents, by their names in the API. */
const TAKEN = ['html', 'markdown'];

/**
 * Documents of a Dropbox that it gives out in no form that rclone takes: sheets and slides of Google among them. rclone leaves them
 * out without a word. One request tells two thousand entries.
 * @param root path that the backup begins at; '' = all
 */
export async function documentsWithoutForm(
  http: CloudHttp,
  tokens: AccessTokens,
  root: string,
  signal: AbortSignal,
): Promise<ListingOutcome['skipped']> {
  const api = new CloudApi({ http, tokens, errorOf: dropboxError, attempts: 6 });
  const above = root === '' ? '' : `/${root}`;
  const found: { path: string; reason: 'unexportable' }[] = [];
  let ask = { what: '/list_folder', fields: { path: above, recursive: true, limit: 2_000 } as object };
  for (;;) {
    const answer = await api.ask({
      method: 'POST',
      url: API + ask.what,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(ask.fields),
      signal,
    });
    const { entries, cursor, has_more: more } = Page.parse(answer);
    for (const { path_display: path, is_downloadable: plain, export_info: exported } of entries) {
      const forms = [exported?.export_as ?? '', ...(exported?.export_options ?? [])];
      if (plain || forms.some((form) => TAKEN.includes(form))) continue;
      found.push({ path: pathOfNativeName(path.slice(above.length + 1)), reason: 'unexportable' });
    }
    if (!more) return found;
    ask = { what: '/list_folder/continue', fields: { cursor } };
  }
}

const Refusal = z.object({ error_summary: z.string().default('') });

function dropboxError({ status, json }: CloudAnswer): BackupError {
  const refusal = Refusal.safeParse(json);
  const said = refusal.success ? refusal.data.error_summary.slice(0, 60) : '';
  const cause = new Error(`Dropbox answered ${status} ${said}`);
  if (status === 429) return new BackupError('ERR_RATE_LIMIT', undefined, { cause });
  if (status === 401)
    return new BackupError(
      /missing_scope/.test(said) ? 'ERR_DROPBOX_REFRESH_PRECHECK' : 'ERR_SOURCE_TOKEN',
      undefined,
      {
        cause,
      },
    );
  if (/not_found/.test(said)) return new BackupError('ERR_SOURCE_NOT_FOUND', undefined, { cause });
  if (status >= 500) return new BackupError('ERR_NETWORK', undefined, { cause });
  return new BackupError('ERR_SOURCE_LISTING', undefined, { cause });
}

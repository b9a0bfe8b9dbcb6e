import { z } from 'zod';
import type { ConnectionSummary } from '../../protocol/sources.ts';
import { page, view } from '../page.ts';

const text = z.string().max(2_048);

/** Accounts at Google Drive and Dropbox: connect, authorize again, disconnect. */
export const sourcesPage = page({
  path: '/sources',
  caller: 'client',
  navigation: 'Sources',
  query: z.object({ done: z.enum(['new', 'again']).optional() }),
  handle: async ({ client, query }) => {
    const { sources, providers } = await client.sources.list();
    return view('pages/sources.njk', {
      sources: sources.map(sourceRow),
      providers,
      offered: providers.some(({ available }) => available),
      notice: query.done === undefined ? null : 'The account is connected. Choose it as the source of a job.',
    });
  },
});

/**
 * Where a service sends the browser back to. The page changes nothing: it sends what the service said to `cloudbackup_finish_source`,
 * as any form of ours.
 */
function callbackPage(path: string, label: string) {
  return page({
    path,
    caller: 'client',
    section: '/sources',
    query: z.object({ state: text.optional(), code: text.optional(), error: text.optional() }),
    handle: async ({ query }) =>
      await Promise.resolve(
        view('pages/source_callback.njk', {
          label,
          state: query.state ?? null,
          code: query.code ?? '',
          declined: query.code === undefined,
        }),
      ),
  });
}

export const googleCallbackPage = callbackPage('/oauth/google/callback', 'Google Drive');
export const dropboxCallbackPage = callbackPage('/oauth/dropbox/callback', 'Dropbox');

const states = {
  active: { kind: 'good', word: 'Connected' },
  error: { kind: 'failed', word: 'Refused' },
  revoked: { kind: 'idle', word: 'Disconnected' },
} as const;

function sourceRow(source: ConnectionSummary) {
  return {
    id: source.id,
    service: source.provider_label,
    account: source.account_email ?? source.display_name,
    state: states[source.status],
    message: source.status === 'active' ? null : source.message,
    jobs: source.jobs,
    connectedAt: source.connected_at_epoch_ms,
    connected: source.status !== 'revoked',
    again: source.status !== 'active',
  };
}

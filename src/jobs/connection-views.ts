import type { ListedConnection, StoredConnection } from '../database/sources.ts';
import { catalogue, type ErrorCode } from '../errors/catalogue.ts';
import type { ConnectionTrouble } from '../protocol/job.ts';
import type { ConnectionSummary } from '../protocol/sources.ts';
import { times } from '../protocol/times.ts';
import { providerNames, providers, type ProviderName } from '../sources/oauth/providers.ts';

/** How connected accounts look from outside: never a token. Pure. */

export function connectionView(row: ListedConnection): ConnectionSummary {
  return {
    id: row.uuid,
    provider: row.provider,
    provider_label: labelOf(row),
    display_name: row.displayName,
    account_email: row.accountEmail,
    status: row.status,
    message: messageOf(row),
    jobs: row.jobs,
    ...times({ connected_at: row.createdAt }),
  };
}

/** What keeps a job that uses this account from running; null: nothing. */
export function connectionTrouble(row: StoredConnection): ConnectionTrouble | null {
  if (row.status === 'active') return null;
  return {
    source_id: row.uuid,
    provider_label: labelOf(row),
    account: row.accountEmail ?? row.displayName,
    status: row.status,
    message: messageOf({ ...row, jobs: 1 }),
  };
}

export function isProvider(name: string): name is ProviderName {
  return (providerNames as readonly string[]).includes(name);
}

function labelOf({ provider }: StoredConnection): string {
  return isProvider(provider) ? providers[provider].label : provider;
}

function messageOf({ status, errorCode, jobs }: ListedConnection): string {
  if (status === 'active') return 'Connected.';
  if (status === 'revoked')
    return jobs === 0 ? 'Disconnected.' : 'Disconnected: the jobs that use it cannot run until it is authorized again.';
  const code = errorCode !== null && Object.hasOwn(catalogue, errorCode) ? (errorCode as ErrorCode) : null;
  return code === null
    ? 'The service refuses the authorization. Re-authorize it.'
    : `${catalogue[code].what} Re-authorize it.`;
}

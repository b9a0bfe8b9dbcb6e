import { appendAudit } from '../database/audit.ts';
import { ClientSources, idleConnections, type StoredConnection } from '../database/sources.ts';
import { isBackupError } from '../errors/backup-error.ts';
import { isTransient } from '../errors/catalogue.ts';
import { describeError } from '../log.ts';
import { connectionShelf } from '../sources/oauth/connection-shelf.ts';
import { cloudHttp } from '../sources/oauth/https.ts';
import { oauthClient, providers, type ProviderName } from '../sources/oauth/providers.ts';
import { withdrawConsent } from '../sources/oauth/withdraw.ts';
import type { WorkerServices } from './services.ts';

const PAGE = 200;

type Parts = Pick<WorkerServices, 'database' | 'secrets' | 'records' | 'log'>;

/**
 * Gives up the connected accounts of clients whose service is terminated and of whose backups none stays: the consent is taken back at the
 * service, the token forgotten, and both written to the audit log. Where the host keeps the data of such clients for good, their connections
 * stay too. Any number of workers may do so at once. Returns how many were given up, also when `signal` ends it early.
 */
export async function withdrawConnections(parts: Parts, signal?: AbortSignal): Promise<number> {
  let given = 0;
  const ended = new Map<number, Promise<boolean>>();
  for (let after = 0, more = true; more;) {
    const page = await idleConnections(parts.database, after, PAGE);
    for (const connection of page) {
      if (signal?.aborted) return given;
      const { clientId } = connection;
      const isEnded = ended.get(clientId) ?? serviceHasEnded(parts, clientId);
      ended.set(clientId, isEnded);
      if ((await isEnded) && (await giveUp(parts, connection))) given += 1;
    }
    after = page.at(-1)?.id ?? after;
    more = page.length === PAGE;
  }
  return given;
}

async function serviceHasEnded({ records }: Parts, clientId: number): Promise<boolean> {
  if ((await records.serviceState(clientId)) !== 'terminated') return false;
  return ((await records.terminatedGraceDays?.(clientId)) ?? null) !== null;
}

/** False: somebody else was faster, or the service does not answer, so that it is tried again. */
async function giveUp(parts: Parts, { uuid, clientId, provider }: StoredConnection): Promise<boolean> {
  const { database, log } = parts;
  let withdrawn = false;
  try {
    withdrawn = await withdraw(parts, { uuid, clientId, provider });
  } catch (error) {
    // A token that the service refuses, or that cannot be read, is given up all the same: nobody can use it.
    if (isBackupError(error) && isTransient(error.code)) {
      log.warn('a connection could not be withdrawn', { connection: uuid, error: describeError(error) });
      return false;
    }
  }
  return await database.transaction(async (trx) => {
    if (!(await new ClientSources(database, clientId).revoke(trx, uuid))) return false;
    await appendAudit(database, trx, {
      ...{ actorKind: 'system', actorId: 'retention', clientId },
      ...{ action: 'source.disconnected', targetKind: 'source', targetId: uuid },
      params: { reason: 'service terminated', withdrawn },
    });
    return true;
  });
}

/** False: the operator has no client at this service any more, by whom it could be told. */
async function withdraw(
  parts: Parts,
  { uuid, clientId, provider: name }: Pick<StoredConnection, 'uuid' | 'clientId' | 'provider'>,
): Promise<boolean> {
  if (!Object.hasOwn(providers, name)) return false;
  const provider = providers[name as ProviderName];
  const client = oauthClient(provider, { env: process.env, settings: await parts.records.settings() });
  if (client === null) return false;
  const shelf = connectionShelf(parts, provider, { clientId, uuid });
  await withdrawConsent({ http: cloudHttp(process.env), client, shelf, clock: Date.now });
  return true;
}

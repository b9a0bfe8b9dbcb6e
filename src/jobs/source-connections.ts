import { createHash, randomBytes } from 'node:crypto';
import { appendAudit } from '../database/audit.ts';
import type { Transaction } from '../database/connect.ts';
import { ClientOAuthStates } from '../database/oauth-states.ts';
import { ClientSources, type StoredConnection } from '../database/sources.ts';
import { BackupError } from '../errors/backup-error.ts';
import type { DriveItem, ProviderSummary } from '../protocol/sources.ts';
import { AccessTokens } from '../sources/oauth/access-tokens.ts';
import { connectionShelf } from '../sources/oauth/connection-shelf.ts';
import { DriveApi } from '../sources/oauth/drive-api.ts';
import { DriveFolders, type DriveQuery } from '../sources/oauth/drive-folders.ts';
import {
  oauthClient,
  providerNames,
  providers,
  type OAuthClient,
  type ProviderName,
} from '../sources/oauth/providers.ts';
import { exchangeCode, type Granted } from '../sources/oauth/tokens.ts';
import { withdrawConsent } from '../sources/oauth/withdraw.ts';
import type { ConnectedSources } from './client.ts';
import { connectionView, isProvider } from './connection-views.ts';
import { clientActor, type ServiceParts } from './parts.ts';

const MOST = 200;
/** Between the click on "connect" and the way back from the provider. */
const STATE_MS = 15 * 60_000;
/** Paths of the pages that providers send the browser back to, below the portal's public address. */
export const callbackPaths: Readonly<Record<ProviderName, string>> = {
  google_drive: '/oauth/google/callback',
  dropbox: '/oauth/dropbox/callback',
};

/** Accounts at Google and Dropbox that a client connects. The portal speaks with these hosts itself: no customer chooses them. */
export class SourceConnections implements ConnectedSources {
  readonly #parts: ServiceParts;
  readonly #clientId: number;
  readonly #sources: ClientSources;
  readonly #states: ClientOAuthStates;

  constructor(parts: ServiceParts, clientId: number) {
    this.#parts = parts;
    this.#clientId = clientId;
    this.#sources = new ClientSources(parts.database, clientId);
    this.#states = new ClientOAuthStates(parts.database, clientId);
  }

  async list(query: { provider?: string | undefined } = {}): ReturnType<ConnectedSources['list']> {
    const [rows, settings] = await Promise.all([
      this.#sources.list({ provider: query.provider, limit: MOST }),
      this.#parts.host.settings(),
    ]);
    const offered = providerNames.map((name): ProviderSummary => ({
      provider: name,
      label: providers[name].label,
      available:
        this.#parts.cloud.publicUrl !== null &&
        oauthClient(providers[name], { env: this.#parts.cloud.env, settings }) !== null,
    }));
    return { sources: rows.filter(({ provider }) => isProvider(provider)).map(connectionView), providers: offered };
  }

  async begin({
    provider,
    sourceId,
  }: {
    provider: ProviderName | undefined;
    sourceId: string | undefined;
  }): Promise<{ url: string }> {
    const again = sourceId === undefined ? null : await this.#sources.get(sourceId);
    const name = again === null ? provider : providerOf(again);
    if (name === undefined || (provider !== undefined && provider !== name))
      throw new BackupError('INVALID_INPUT', undefined, {
        details: { fields: { provider: 'is missing, or not that of the connection' } },
      });
    const client = await this.#client(name);
    const redirectUri = this.#redirectUri(name);
    const [state, verifier, uuid] = [token(), token(), this.#parts.newId()];
    await this.#parts.database.transaction(async (trx) => {
      await this.#states.begin(trx, {
        uuid,
        stateHash: sha256(state).toString('hex'),
        provider: name,
        sourceUuid: again?.uuid ?? null,
        verifierEnc: this.#parts.secrets.seal('oauth-state.verifier', uuid, verifier),
        expiresInMs: STATE_MS,
      });
    });
    const url = new URL(client.provider.authorizeUrl);
    const parameters = {
      client_id: client.id,
      redirect_uri: redirectUri,
      response_type: 'code',
      scope: client.scopes.join(' '),
      state,
      code_challenge: sha256(verifier).toString('base64url'),
      code_challenge_method: 'S256',
      ...client.provider.authorizeParameters,
      ...(again?.accountEmail && name === 'google_drive' ? { login_hint: again.accountEmail } : {}),
    };
    for (const [key, value] of Object.entries(parameters)) url.searchParams.set(key, value);
    return { url: url.href };
  }

  async finish({ state, code }: { state: string; code: string | null }): Promise<{ sourceId: string; isNew: boolean }> {
    const begun = await this.#states.take(sha256(state).toString('hex'));
    if (begun === null || !isProvider(begun.provider)) throw new BackupError('OAUTH_STATE_INVALID');
    if (code === null) throw new BackupError('OAUTH_REFUSED');
    const client = await this.#client(begun.provider);
    const { http } = this.#parts.cloud;
    const verifier = this.#parts.secrets.open('oauth-state.verifier', begun.uuid, begun.verifierEnc);
    const redirectUri = this.#redirectUri(begun.provider);
    const granted = await exchangeCode(http, client, { code, verifier, redirectUri }, this.#parts.clock);
    requireAll(client, granted);
    const { account } = await client.provider.account(http, granted.token);
    if (account === null) throw new BackupError('OAUTH_REFUSED');
    return await this.#parts.database.transaction(
      async (trx) => await this.#keep(trx, client, begun.sourceUuid, granted, account.email.toLowerCase()),
    );
  }

  async disconnect(sourceId: string): Promise<{ withdrawn: boolean }> {
    const connection = await this.#sources.get(sourceId);
    const withdrawn = await this.#withdraw(connection);
    await this.#parts.database.transaction(async (trx) => {
      if (await this.#sources.revoke(trx, sourceId))
        await this.#audit(trx, 'source.disconnected', connection.uuid, { withdrawn });
    });
    return { withdrawn };
  }

  async driveItems(sourceId: string, query: DriveQuery): Promise<{ items: DriveItem[]; nextPageToken: string | null }> {
    const connection = await this.#sources.get(sourceId);
    if (connection.provider !== 'google_drive') throw new BackupError('SOURCE_NOT_FOUND');
    if (connection.status === 'revoked') throw new BackupError('SOURCE_NOT_CONNECTED');
    const tokens = await this.#tokens('google_drive', connection.uuid);
    const { items, nextPageToken } = await new DriveFolders(
      new DriveApi(this.#parts.cloud.http, tokens, { attempts: 2 }),
    ).page(query);
    return {
      nextPageToken,
      items: items.map(({ id, name, kind, parents, driveId }) => ({
        id,
        name,
        type: kind,
        parents: [...parents],
        drive_id: driveId,
      })),
    };
  }

  /** A new row, or the one of the same account: whoever connects an account twice means the same one. */
  async #keep(
    trx: Transaction,
    client: OAuthClient,
    wanted: string | null,
    granted: Granted & { refreshToken: string },
    accountEmail: string,
  ): Promise<{ sourceId: string; isNew: boolean }> {
    const provider = client.provider.name;
    const known =
      wanted === null
        ? await this.#sources.findByAccount(trx, provider, accountEmail)
        : await this.#sources.get(wanted, trx);
    if (known !== null && known.accountEmail !== accountEmail) throw new BackupError('OAUTH_OTHER_ACCOUNT');
    const uuid = known?.uuid ?? this.#parts.newId();
    const values = {
      displayName: `${client.provider.label}: ${accountEmail}`.slice(0, 191),
      scopes: granted.scopes.length === 0 ? client.scopes : granted.scopes,
      refreshTokenEnc: this.#parts.secrets.seal('source.refresh-token', uuid, granted.refreshToken),
    };
    if (known === null) await this.#sources.insert(trx, { ...values, uuid, provider, accountEmail });
    else await this.#sources.authorizeAgain(trx, uuid, values);
    await this.#audit(trx, known === null ? 'source.connected' : 'source.authorized_again', uuid, {
      provider,
      account: accountEmail,
    });
    return { sourceId: uuid, isNew: known === null };
  }

  /** True when the provider was told. A token that it refuses, or a provider that does not answer, keeps nobody from disconnecting. */
  async #withdraw(connection: StoredConnection): Promise<boolean> {
    if (connection.refreshTokenEnc === null || !isProvider(connection.provider)) return false;
    try {
      await withdrawConsent({
        http: this.#parts.cloud.http,
        client: await this.#client(connection.provider),
        shelf: this.#shelf(connection.provider, connection.uuid),
        clock: this.#parts.clock,
      });
      return true;
    } catch {
      return false;
    }
  }

  async #tokens(name: ProviderName, uuid: string): Promise<AccessTokens> {
    const { cloud, clock } = this.#parts;
    return new AccessTokens({
      http: cloud.http,
      client: await this.#client(name),
      shelf: this.#shelf(name, uuid),
      clock,
    });
  }

  #shelf(name: ProviderName, uuid: string): ReturnType<typeof connectionShelf> {
    return connectionShelf(this.#parts, providers[name], { clientId: this.#clientId, uuid });
  }

  async #client(name: ProviderName): Promise<OAuthClient> {
    const settings = await this.#parts.host.settings();
    const client = oauthClient(providers[name], { env: this.#parts.cloud.env, settings });
    if (client === null) throw new BackupError(providers[name].codes.client);
    return client;
  }

  #redirectUri(name: ProviderName): string {
    const { publicUrl } = this.#parts.cloud;
    if (publicUrl === null) throw new BackupError('OAUTH_NO_ADDRESS');
    return publicUrl.replace(/\/+$/, '') + callbackPaths[name];
  }

  async #audit(trx: Transaction, action: string, uuid: string, params: Record<string, unknown>): Promise<void> {
    const target = { targetKind: 'source', targetId: uuid, params };
    await appendAudit(this.#parts.database, trx, { ...clientActor(this.#clientId), action, ...target });
  }
}

function requireAll(client: OAuthClient, granted: Granted): asserts granted is Granted & { refreshToken: string } {
  // An answer without "scope" grants what was asked for (RFC 6749 §5.1).
  const missing = granted.scopes.length === 0 ? [] : client.scopes.filter((scope) => !granted.scopes.includes(scope));
  if (missing.length > 0) throw new BackupError('OAUTH_SCOPE_MISSING', undefined, { details: { missing } });
  if (granted.refreshToken === null) throw new BackupError('OAUTH_NO_REFRESH_TOKEN');
}

function providerOf({ provider }: StoredConnection): ProviderName {
  if (!isProvider(provider)) throw new BackupError('SOURCE_NOT_FOUND');
  return provider;
}

function token(): string {
  return randomBytes(32).toString('base64url');
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

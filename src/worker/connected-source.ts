import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { BackupError, isBackupError } from '../errors/backup-error.ts';
import { describeError } from '../log.ts';
import { AccessTokens } from '../sources/oauth/access-tokens.ts';
import { connectionShelf } from '../sources/oauth/connection-shelf.ts';
import { DriveApi } from '../sources/oauth/drive-api.ts';
import { hiddenFolders } from '../sources/oauth/drive-duplicates.ts';
import { documentsWithoutForm } from '../sources/oauth/dropbox-documents.ts';
import { cloudHttp, type CloudHttp } from '../sources/oauth/https.ts';
import { oauthClient, providers } from '../sources/oauth/providers.ts';
import { connectionOf, remoteOf, type RemoteDefinition, type Source } from '../sources/registry.ts';
import type { SourceUse } from './open-source.ts';
import type { WorkerServices } from './services.ts';

export type ConnectionServices = Pick<WorkerServices, 'database' | 'secrets' | 'log'> & {
  readonly records: Pick<WorkerServices['records'], 'settings'>;
};

/**
 * What the transfer program is told of a source. Lets the transfer program read by a connected account without knowing its keys: it is given an address on loopback where it gets
 * access tokens, and a ticket that is good there, for the time of its use. Neither the refresh token nor the operator's client secret
 * leave this process, and a refresh token that the provider replaces is stored at once, whatever becomes of the run.
 *
 * The authorization is tried first, so that a refused one is told as such before anything is begun.
 * @throws BackupError the provider's codes `client`, `lookup`, `token` and `refused`, `ERR_NETWORK` …
 */
export async function withConnection(
  services: ConnectionServices,
  clientId: number,
  source: Source,
  { atEnd }: Pick<SourceUse, 'atEnd'>,
): Promise<RemoteDefinition> {
  const definition = remoteOf(source);
  const connection = connectionOf(source);
  if (connection === null) return definition;
  const provider = providers[connection.provider];
  const client = oauthClient(provider, { env: process.env, settings: await services.records.settings() });
  if (client === null) throw new BackupError(provider.codes.client);
  const shelf = connectionShelf(services, provider, { clientId, uuid: connection.uuid });
  const http = cloudHttp(process.env);
  const tokens = new AccessTokens({ http, client, shelf, clock: Date.now });
  await tokens.current();
  const counter = await openCounter(tokens, (error) =>
    services.log.warn('no access token', { connection: connection.uuid, error: describeError(error) }),
  );
  atEnd(counter.close);
  return {
    ...definition,
    origin: withLeftOut(definition, http, tokens),
    options: {
      ...definition.options,
      client_id: 'e3',
      client_secret: counter.password,
      token_url: counter.url,
      // Expired, so that it is asked for before the first request; rclone takes an empty one for no token at all.
      token: JSON.stringify({
        access_token: 'none',
        token_type: 'Bearer',
        refresh_token: counter.ticket,
        expiry: '2001-01-01T00:00:00Z',
      }),
    },
  };
}

/** What rclone leaves out of a listing without a word is asked for by ourselves. */
function withLeftOut(
  { backend, origin, options, root }: RemoteDefinition,
  http: CloudHttp,
  tokens: AccessTokens,
): RemoteDefinition['origin'] {
  if (origin.kind !== 'remote') return origin;
  if (backend === 'dropbox')
    return { ...origin, leftOut: async (signal) => await documentsWithoutForm(http, tokens, root, signal) };
  const teamDrive = options['team_drive'] ?? null;
  const place = { root: options['root_folder_id'] ?? teamDrive ?? 'root', teamDrive, below: root };
  const api = new DriveApi(http, tokens);
  return { ...origin, leftOut: async (signal) => await hiddenFolders(api, place, signal) };
}

/** So long the transfer program uses a token before it asks again: one that was given up early does no harm for longer. */
const LONGEST_USE_SECONDS = 600;
const LARGEST_REQUEST = 8_192;

interface TokenCounter {
  readonly url: string;
  readonly ticket: string;
  readonly password: string;
  readonly close: () => Promise<void>;
}

/** A token endpoint on loopback (RFC 6749 §6), for the holder of the ticket. */
async function openCounter(tokens: AccessTokens, tellFailure: (error: unknown) => void): Promise<TokenCounter> {
  const [ticket, password] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')];
  const server = createServer((request, response) => {
    void answer(request, response).catch(() => response.destroy());
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const given = new URLSearchParams(await bodyOf(request));
    const basic = Buffer.from(/^Basic (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '', 'base64').toString();
    const told = basic === '' ? (given.get('client_secret') ?? '') : basic.slice(basic.indexOf(':') + 1);
    const known = isSame(told, password) && isSame(given.get('refresh_token') ?? '', ticket);
    if (request.method !== 'POST' || !known) return send(response, 401, { error: 'invalid_client' });
    try {
      const { token, expiresAt } = await tokens.current();
      const left = Math.floor((expiresAt - Date.now()) / 1_000);
      const expiresIn = Math.max(1, Math.min(left, LONGEST_USE_SECONDS));
      send(response, 200, { access_token: token, token_type: 'Bearer', expires_in: expiresIn });
    } catch (error) {
      tellFailure(error);
      const refused = isBackupError(error) && /_(?:REFRESH_PRECHECK|NO_REFRESH_TOKEN|SOURCE_LOOKUP)$/.test(error.code);
      send(response, refused ? 400 : 503, { error: refused ? 'invalid_grant' : 'temporarily_unavailable' });
    }
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    ticket,
    password,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of request) {
    text += String(part);
    if (text.length > LARGEST_REQUEST) throw new Error('the request is too large');
  }
  return text;
}

function send(response: ServerResponse, status: number, body: Readonly<Record<string, unknown>>): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
}

function isSame(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}

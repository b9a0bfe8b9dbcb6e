import { z } from 'zod';
import { BackupError } from '../../errors/backup-error.ts';
import type { ErrorCode } from '../../errors/catalogue.ts';
import type { CloudAnswer, CloudHttp } from './https.ts';

export const providerNames = ['google_drive', 'dropbox'] as const;
export type ProviderName = (typeof providerNames)[number];

/** Who stands behind a connection. */
export interface CloudAccount {
  readonly email: string;
  readonly name: string;
}

/** A service that customers connect by OAuth 2.0 (authorization code with PKCE, RFC 6749 and RFC 7636). */
export interface Provider {
  readonly name: ProviderName;
  readonly label: string;
  readonly authorizeUrl: string;
  readonly authorizeParameters: Readonly<Record<string, string>>;
  readonly tokenUrl: string;
  /** What is asked for where the operator's settings say nothing else. */
  readonly scopes: readonly string[];
  /** Where the operator sets the client: names of module settings begin so, those in the environment in upper case. */
  readonly setting: string;
  readonly codes: {
    /** The operator has not set up the client, or the provider does not accept it. */
    readonly client: ErrorCode;
    /** There is no refresh token, or it cannot be read. */
    readonly token: ErrorCode;
    /** The job's connection is gone, or of another provider. */
    readonly lookup: ErrorCode;
    /** The provider refuses the refresh token: the customer must authorize again. */
    readonly refused: ErrorCode;
  };
  /** A request that any good access token may send; says whose it is. */
  account(
    http: CloudHttp,
    accessToken: string,
    signal?: AbortSignal,
  ): Promise<{ status: number; account: CloudAccount | null }>;
  /** Takes the whole consent back; one that is not good any more counts as taken back. @throws BackupError `ERR_NETWORK` */
  revoke(http: CloudHttp, tokens: { refreshToken: string; accessToken: () => Promise<string> }): Promise<void>;
}

const GoogleAbout = z.object({ user: z.object({ emailAddress: z.string(), displayName: z.string().default('') }) });
const DropboxAccount = z.object({ email: z.string(), name: z.object({ display_name: z.string().default('') }) });

const google: Provider = {
  name: 'google_drive',
  label: 'Google Drive',
  authorizeUrl: 'https://accounts.google.com/o/oauth2/v2/auth',
  // Without "consent", an account that was connected before is not given a refresh token again.
  authorizeParameters: { access_type: 'offline', prompt: 'consent', include_granted_scopes: 'true' },
  tokenUrl: 'https://oauth2.googleapis.com/token',
  scopes: ['https://www.googleapis.com/auth/drive.readonly'],
  setting: 'google',
  codes: {
    client: 'ERR_GDRIVE_NO_CLIENT_CREDENTIALS',
    token: 'ERR_GDRIVE_NO_REFRESH_TOKEN',
    lookup: 'ERR_GDRIVE_SOURCE_LOOKUP',
    refused: 'ERR_GDRIVE_REFRESH_PRECHECK',
  },
  async account(http, accessToken, signal) {
    const answer = await http.send({
      method: 'GET',
      url: 'https://www.googleapis.com/drive/v3/about?fields=user(displayName,emailAddress)',
      headers: bearer(accessToken),
      ...(signal === undefined ? {} : { signal }),
    });
    const about = GoogleAbout.safeParse(answer.json);
    if (!about.success) return { status: answer.status, account: null };
    const { emailAddress: email, displayName: name } = about.data.user;
    return { status: answer.status, account: { email, name } };
  },
  async revoke(http, { refreshToken }) {
    answered(await http.send(form('https://oauth2.googleapis.com/revoke', { token: refreshToken })));
  },
};

const dropbox: Provider = {
  name: 'dropbox',
  label: 'Dropbox',
  authorizeUrl: 'https://www.dropbox.com/oauth2/authorize',
  authorizeParameters: { token_access_type: 'offline' },
  tokenUrl: 'https://api.dropboxapi.com/oauth2/token',
  scopes: ['account_info.read', 'files.metadata.read', 'files.content.read'],
  setting: 'dropbox',
  codes: {
    client: 'ERR_DROPBOX_NO_CLIENT_CREDENTIALS',
    token: 'ERR_DROPBOX_NO_REFRESH_TOKEN',
    lookup: 'ERR_DROPBOX_SOURCE_LOOKUP',
    refused: 'ERR_DROPBOX_REFRESH_PRECHECK',
  },
  async account(http, accessToken, signal) {
    const answer = await http.send({
      method: 'POST',
      url: 'https://api.dropboxapi.com/2/users/get_current_account',
      headers: bearer(accessToken),
      ...(signal === undefined ? {} : { signal }),
    });
    const account = DropboxAccount.safeParse(answer.json);
    if (!account.success) return { status: answer.status, account: null };
    return { status: answer.status, account: { email: account.data.email, name: account.data.name.display_name } };
  },
  async revoke(http, { accessToken }) {
    answered(
      await http.send({
        method: 'POST',
        url: 'https://api.dropboxapi.com/2/auth/token/revoke',
        headers: bearer(await accessToken()),
      }),
    );
  },
};

function answered({ status }: CloudAnswer): void {
  if (status === 429 || status >= 500) throw new BackupError('ERR_NETWORK');
}

export const providers: Readonly<Record<ProviderName, Provider>> = { google_drive: google, dropbox };

/** The operator's registration with a provider. */
export interface OAuthClient {
  readonly provider: Provider;
  readonly id: string;
  readonly secret: string;
  readonly scopes: readonly string[];
}

/**
 * Client id and secret from the environment (`CLOUD_BACKUP_GOOGLE_CLIENT_ID`, `GOOGLE_CLIENT_ID` …), else from the module settings
 * (`cloudbackup_google_client_id` …). Null: the operator has not set it up.
 */
export function oauthClient(
  provider: Provider,
  { env, settings }: { env: Readonly<Record<string, string | undefined>>; settings: ReadonlyMap<string, string> },
): OAuthClient | null {
  const value = (field: string): string => {
    const name = `${provider.setting}_${field}`;
    const upper = name.toUpperCase();
    return (env[`CLOUD_BACKUP_${upper}`] || env[upper] || settings.get(`cloudbackup_${name}`) || '').trim();
  };
  const [id, secret] = [value('client_id'), value('client_secret')];
  if (id === '' || secret === '') return null;
  const scopes = value('scopes')
    .split(/[\s,]+/)
    .filter((scope) => scope !== '');
  return { provider, id, secret, scopes: scopes.length === 0 ? provider.scopes : scopes };
}

export function form(url: string, fields: Readonly<Record<string, string>>): Parameters<CloudHttp['send']>[0] {
  return {
    method: 'POST',
    url,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
  };
}

export function bearer(accessToken: string): Record<string, string> {
  return { authorization: `Bearer ${accessToken}` };
}

export type { CloudAnswer };

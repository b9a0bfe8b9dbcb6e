import { z } from 'zod';
import { BackupError } from '../../errors/backup-error.ts';
import type { CloudAnswer, CloudHttp } from './https.ts';
import { form, type OAuthClient } from './providers.ts';

export interface AccessToken {
  readonly token: string;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

export interface Granted extends AccessToken {
  /** Null: the one that there was stays good. */
  readonly refreshToken: string | null;
  readonly scopes: readonly string[];
}

const TokenAnswer = z.object({
  access_token: z.string().min(1),
  expires_in: z.coerce.number().positive().default(3_600),
  refresh_token: z.string().min(1).optional(),
  scope: z.string().default(''),
});
const TokenRefusal = z.object({ error: z.string() });

/** Trades an authorization code for tokens. @throws BackupError `OAUTH_REFUSED`, the provider's code for its client, `ERR_NETWORK` … */
export async function exchangeCode(
  http: CloudHttp,
  client: OAuthClient,
  given: { code: string; verifier: string; redirectUri: string },
  clock: () => number,
): Promise<Granted> {
  const answer = await http.send(
    form(client.provider.tokenUrl, {
      grant_type: 'authorization_code',
      code: given.code,
      code_verifier: given.verifier,
      redirect_uri: given.redirectUri,
      client_id: client.id,
      client_secret: client.secret,
    }),
  );
  return grantedBy(client, answer, 'OAUTH_REFUSED', clock);
}

/**
 * A new access token.
 * @throws BackupError the provider's code `refused` (only authorizing again helps), its code for the client, `ERR_NETWORK` and the like,
 *   `ERR_RATE_LIMIT`
 */
export async function refresh(
  http: CloudHttp,
  client: OAuthClient,
  refreshToken: string,
  clock: () => number,
): Promise<Granted> {
  const answer = await http.send(
    form(client.provider.tokenUrl, {
      grant_type: 'refresh_token',
      refresh_token: refreshToken,
      client_id: client.id,
      client_secret: client.secret,
    }),
  );
  return grantedBy(client, answer, client.provider.codes.refused, clock);
}

function grantedBy(
  { provider }: OAuthClient,
  answer: CloudAnswer,
  refused: ConstructorParameters<typeof BackupError>[0],
  clock: () => number,
): Granted {
  const granted = TokenAnswer.safeParse(answer.json);
  if (answer.status === 200 && granted.success) {
    const { access_token: token, expires_in: seconds, refresh_token: next, scope } = granted.data;
    return {
      token,
      expiresAt: clock() + seconds * 1_000,
      refreshToken: next ?? null,
      scopes: scope.split(' ').filter((name) => name !== ''),
    };
  }
  const refusal = TokenRefusal.safeParse(answer.json);
  // The words of RFC 6749 §5.2; nothing else of the answer is shown, it may hold tokens.
  const said =
    refusal.success && /^[a-z_]{1,40}$/.test(refusal.data.error) ? refusal.data.error : `HTTP ${answer.status}`;
  const cause = new Error(`${provider.label} answered: ${said}`);
  if (answer.status === 429) throw new BackupError('ERR_RATE_LIMIT', undefined, { cause });
  if (answer.status >= 500 || answer.status === 0) throw new BackupError('ERR_NETWORK', undefined, { cause });
  if (['invalid_client', 'unauthorized_client'].includes(said))
    throw new BackupError(provider.codes.client, undefined, { cause });
  throw new BackupError(refused, undefined, { cause });
}

import { AccessTokens, type TokenShelf } from './access-tokens.ts';
import type { CloudHttp } from './https.ts';
import type { OAuthClient } from './providers.ts';

/**
 * Takes a customer's consent back at the service, so that its tokens are good for nothing any more, wherever copies of them lie.
 * @throws BackupError what `AccessTokens` throws, `ERR_NETWORK` …
 */
export async function withdrawConsent(parts: {
  readonly http: CloudHttp;
  readonly client: OAuthClient;
  readonly shelf: TokenShelf;
  readonly clock: () => number;
}): Promise<void> {
  const { http, client, shelf } = parts;
  const tokens = new AccessTokens(parts);
  const { refreshToken } = await shelf.read();
  await client.provider.revoke(http, { refreshToken, accessToken: async () => (await tokens.current()).token });
}

import { BackupError } from '../../errors/backup-error.ts';
import type { Database } from '../../database/connect.ts';
import {
  markConnectionGood,
  markConnectionRefused,
  readConnection,
  replaceRefreshToken,
  type StoredConnection,
} from '../../database/sources.ts';
import type { Secrets } from '../../security/envelope.ts';
import type { StoredToken, TokenShelf } from './access-tokens.ts';
import type { Provider } from './providers.ts';

export interface ConnectionName {
  readonly clientId: number;
  readonly uuid: string;
}

/** The refresh token of a connection in its row of the database, sealed. */
export function connectionShelf(
  { database, secrets }: { database: Database; secrets: Secrets },
  provider: Provider,
  name: ConnectionName,
): TokenShelf {
  const row = async (): Promise<StoredConnection> => {
    const found = await readConnection(database, name);
    if (found === null || found.provider !== provider.name) throw new BackupError(provider.codes.lookup);
    return found;
  };
  return {
    async read() {
      const found = await row();
      if (found.refreshTokenEnc === null) throw new BackupError(provider.codes.token);
      return {
        sealed: found.refreshTokenEnc,
        refreshToken: opened(secrets, provider, found.uuid, found.refreshTokenEnc),
      };
    },
    async replace(before: StoredToken, refreshToken: string) {
      const after = secrets.seal('source.refresh-token', name.uuid, refreshToken);
      return await replaceRefreshToken(database, await row(), { before: before.sealed, after });
    },
    async refused(token) {
      await markConnectionRefused(database, await row(), { sealed: token.sealed, code: provider.codes.refused });
    },
    async accepted(token) {
      const found = await row();
      if (found.status === 'error') await markConnectionGood(database, found, token.sealed);
    },
  };
}

function opened(secrets: Secrets, provider: Provider, uuid: string, sealed: string): string {
  try {
    return secrets.open('source.refresh-token', uuid, sealed);
  } catch (cause) {
    throw new BackupError(provider.codes.token, undefined, { cause });
  }
}

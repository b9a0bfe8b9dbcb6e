import type { MacKeys } from '../layout/mac.ts';
import type { Secrets } from './envelope.ts';

/** The configured secrets in the shape that the layout signs with. */
export function macKeysOf(secrets: Pick<Secrets, 'current' | 'keyIds' | 'layoutMacKey'>): MacKeys {
  const key = (keyId: string): MacKeys['current'] => ({
    keyId,
    derive: (jobUuid) => secrets.layoutMacKey(keyId, jobUuid),
  });
  return {
    current: key(secrets.current.keyId),
    byId: (keyId) => (secrets.keyIds.includes(keyId) ? key(keyId) : null),
  };
}

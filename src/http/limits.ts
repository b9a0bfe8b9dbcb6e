import type { Request, RequestHandler } from 'express';
import { ipKeyGenerator, rateLimit } from 'express-rate-limit';
import { BackupError } from '../errors/backup-error.ts';
import type { Identity } from '../host/port.ts';
import { requestAddress, type TrustProxy } from './proxy.ts';

const MINUTE = 60_000;

/**
 * Counts what one caller sends within a minute, in this process: with several portals the limit is that much higher, which is fine
 * for what it is for (a customer cannot make workers knock at many doors). Strangers count by address, others by who they are.
 */
export function perCaller(
  limit: number,
  options: { trustProxy: TrustProxy; identityOf: (request: Request) => Identity | undefined },
): RequestHandler {
  return rateLimit({
    windowMs: MINUTE,
    limit,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    // Addresses are taken by our own rule for proxies; the library's checks look at the host app's.
    validate: false,
    keyGenerator: (request) => {
      const identity = options.identityOf(request);
      if (identity?.kind === 'client') return `client:${identity.clientId}`;
      if (identity?.kind === 'admin') return `admin:${identity.adminId}`;
      return ipKeyGenerator(requestAddress(request, options.trustProxy));
    },
    handler: (_request, _response, next) => next(new BackupError('RATE_LIMITED')),
  });
}

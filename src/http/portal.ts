import type { RequestHandler } from 'express';
import type { HostPort } from '../host/port.ts';
import type { Logger } from '../log.ts';
import type { PortalOptions } from '../options.ts';
import type { Secrets } from '../security/envelope.ts';
import type { Services } from '../services.ts';
import type { Views } from './views.ts';

/** What the handlers of requests need. One per `createCloudBackup`. */
export interface Portal {
  readonly host: HostPort;
  readonly secrets: Secrets;
  readonly services: Services;
  readonly options: PortalOptions;
  readonly log: Logger;
  readonly views: Views;
  /** Number of a request: in the answer's header and in every line of the log about it. */
  newId(): string;
  /** Epoch milliseconds. */
  clock(): number;
}

/** The middleware's own verdict as a promise: rejects with what it would have passed to `next`. */
export function passThrough(
  middleware: RequestHandler,
  ...[request, response]: Parameters<RequestHandler>
): Promise<void> {
  return new Promise((resolve, reject) => {
    const next = (problem?: unknown): void => {
      if (problem === undefined || problem === null) resolve();
      else reject(problem instanceof Error ? problem : new Error(`middleware: ${typeof problem}`));
    };
    void middleware(request, response, next);
  });
}

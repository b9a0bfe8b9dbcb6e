import type { RequestHandler } from 'express';
import { describeError } from '../log.ts';
import type { Portal } from './portal.ts';

/**
 * For load balancers and monitoring: 200 while this portal can serve, 503 otherwise. Says nothing that a stranger may not know.
 * Workers do not count for the status: a portal without workers still serves.
 */
export function healthHandler(portal: Portal): RequestHandler {
  return async (_request, response) => {
    response.set('Cache-Control', 'no-store');
    try {
      const health = await portal.services.health();
      response.status(health.schema === 'current' ? 200 : 503).json({
        status: health.schema === 'current' ? 'ok' : 'fail',
        database: 'reachable',
        schema: health.schema,
        workers: health.workers,
      });
    } catch (error) {
      portal.log.error('health check failed', { error: describeError(error) });
      response.status(503).json({ status: 'fail', database: 'unreachable' });
    }
  };
}

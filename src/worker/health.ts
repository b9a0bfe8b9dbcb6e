import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HealthReport {
  readonly ok: boolean;
  readonly version: string;
  readonly database: 'answering' | 'silent';
  readonly state: 'running' | 'stopping';
  readonly active_runs: number;
  readonly max_concurrent: number;
  readonly uptime_seconds: number;
  readonly memory_mb: number;
}

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

/** `GET /health` → 200 while the worker can do its work, 503 otherwise; the body says what is wrong and holds no secrets. */
export async function startHealthServer(
  options: { port: number; host: string },
  report: () => HealthReport,
): Promise<HealthServer> {
  const server = createServer((request, response) => {
    const known = request.url === '/health' && (request.method === 'GET' || request.method === 'HEAD');
    const body = known ? report() : { ok: false };
    response.writeHead(known ? (body.ok ? 200 : 503) : 404, {
      'content-type': 'application/json',
      'cache-control': 'no-store',
    });
    response.end(request.method === 'HEAD' ? undefined : `${JSON.stringify(body)}\n`);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => await new Promise((resolve) => server.close(() => resolve())),
  };
}

import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import aws4 from 'aws4';
import type { BucketAccess } from '../../src/storage/port.ts';

/**
 * What happens to one request on its way. `lose-answer`: it takes effect, the answer is lost. `cut`: the answer ends in the middle.
 * `hang`: nothing ever comes back.
 */
export type ProxyFault =
  | 'reset'
  | 'lose-answer'
  | 'cut'
  | 'hang'
  | { readonly status: number; readonly body?: string; readonly headers?: Record<string, string> }
  /** Another path, signed anew. */
  | { readonly path: string };

export interface FaultProxy {
  readonly endpoint: string;
  /** Requests seen, as `METHOD path`. */
  readonly seen: readonly string[];
  stop(): Promise<void>;
}

/** An HTTP proxy before one server that spoils requests as `plan` says, asked with the request and how many came before it. With a `signer`, it may rewrite them. */
export async function startFaultProxy(
  target: string,
  plan: (request: { method: string; path: string }, before: number) => ProxyFault | undefined,
  signer?: BucketAccess,
): Promise<FaultProxy> {
  const seen: string[] = [];
  const to = new URL(target);
  const server = createServer((request, response) => {
    const { method = 'GET', url: path = '/' } = request;
    const fault = plan({ method, path }, seen.length);
    seen.push(`${method} ${path}`);
    if (fault === 'hang') return;
    if (fault === 'reset') return void request.socket.destroy();
    if (typeof fault === 'object' && 'status' in fault) {
      request.resume();
      return void response.writeHead(fault.status, fault.headers).end(fault.body ?? '');
    }
    const through = typeof fault === 'object' ? fault.path : path;
    pass(request, response, { to, path: through, spoil: typeof fault === 'string' ? fault : null, signer });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function pass(
  request: IncomingMessage,
  response: ServerResponse,
  {
    to,
    path,
    spoil,
    signer,
  }: { to: URL; path: string; spoil: 'cut' | 'lose-answer' | null; signer?: BucketAccess | undefined },
): void {
  // The host that was signed goes along.
  const { host = '', 'x-amz-date': date = '', 'x-amz-content-sha256': hash = '' } = request.headers;
  const headers =
    path === request.url || signer === undefined
      ? request.headers
      : aws4.sign(
          {
            service: 's3',
            region: signer.region,
            method: request.method ?? 'GET',
            path,
            headers: { host, 'x-amz-date': date, 'x-amz-content-sha256': hash },
          },
          { accessKeyId: signer.accessKey, secretAccessKey: signer.secretKey },
        ).headers;
  const onward = httpRequest(
    { hostname: to.hostname, port: to.port, method: request.method ?? 'GET', path, headers: headers ?? {} },
    (answer) => {
      if (spoil === 'lose-answer') {
        answer.resume();
        answer.once('end', () => request.socket.destroy());
        return;
      }
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      if (spoil === null) return void answer.pipe(response);
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.once('end', () => {
        const body = Buffer.concat(parts);
        response.write(body.subarray(0, Math.floor(body.length / 2)), () => request.socket.destroy());
      });
    },
  );
  onward.once('error', () => request.socket.destroy());
  request.pipe(onward);
}

import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { BackupError } from '../../errors/backup-error.ts';

/** The portal's port, held from the first moment on: that it is taken should be told before anything is made. */
export interface WebServer {
  readonly port: number;
  answerWith(listener: RequestListener): void;
  close(): Promise<void>;
}

/**
 * Listens on loopback.
 * @param port 0 takes any free one
 * @throws BackupError ERR_PORT_IN_USE
 */
export async function listen(port: number): Promise<WebServer> {
  let answer: RequestListener = (_, response) => {
    response.writeHead(503, { 'Content-Type': 'text/plain', 'Retry-After': '2' }).end('The portal is starting.\n');
  };
  const server = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      reject(new BackupError('ERR_PORT_IN_USE', portProblem(port, cause.code), { cause }));
    });
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    answerWith: (listener) => void (answer = listener),
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function portProblem(port: number, code: string | undefined): string {
  return code === 'EACCES'
    ? `Port ${port} may not be used by this user. Choose one above 1023 with --port.`
    : `Port ${port} is in use by another program. Choose another one with --port.`;
}

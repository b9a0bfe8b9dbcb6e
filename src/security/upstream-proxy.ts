import type { Socket } from 'node:net';

export type ProxyEnvironment = Readonly<Record<string, string | undefined>>;

/** The operator's own proxy. */
export interface UpstreamProxy {
  readonly host: string;
  readonly port: number;
  /** Value of `Proxy-Authorization`, or null. */
  readonly authorization: string | null;
}

const LONGEST_ANSWER = 16 * 1024;
const ANSWER_MS = 20_000;

/**
 * The proxy by which a host is reached, as Go's programs read the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`, also in lower
 * case); null: none. Only proxies that speak HTTP.
 */
export function proxyFor(scheme: 'http' | 'https', host: string, environment: ProxyEnvironment): UpstreamProxy | null {
  const read = (name: string): string => environment[name] ?? environment[name.toLowerCase()] ?? '';
  const given = read(scheme === 'https' ? 'HTTPS_PROXY' : 'HTTP_PROXY');
  if (given === '' || isExcepted(host, read('NO_PROXY'))) return null;
  const url = URL.parse(given.includes('://') ? given : `http://${given}`);
  if (url === null || url.protocol !== 'http:') return null;
  const user = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return {
    host: url.hostname,
    port: url.port === '' ? 80 : Number(url.port),
    authorization: user === ':' ? null : `Basic ${Buffer.from(user).toString('base64')}`,
  };
}

/** Names match with what is below them; `*` matches all. Loopback never goes by a proxy. */
function isExcepted(host: string, list: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (bare === 'localhost' || bare === '::1' || bare.startsWith('127.')) return true;
  return list
    .split(',')
    .map((entry) => entry.trim().toLowerCase().replace(/:\d+$/, ''))
    .filter(Boolean)
    .some((entry) => {
      const name = entry.replace(/^\*?\./, '');
      return entry === '*' || bare === name || bare.endsWith(`.${name}`);
    });
}

/** Asks the operator's proxy for a connection to a host. @throws Error when it refuses */
export async function connectThrough(
  proxy: UpstreamProxy,
  host: string,
  port: number,
  dial: (proxy: UpstreamProxy) => Promise<Socket>,
): Promise<Socket> {
  const socket = await dial(proxy);
  const authority = `${host}:${port}`;
  const credentials = proxy.authorization === null ? '' : `Proxy-Authorization: ${proxy.authorization}\r\n`;
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${credentials}\r\n`);
  try {
    const status = await answerOf(socket);
    if (status !== 200) throw new Error(`the proxy answered with ${status}`);
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Reads the head of the answer; what follows it stays in the socket. */
async function answerOf(socket: Socket): Promise<number> {
  return await new Promise((resolve, reject) => {
    let read = Buffer.alloc(0);
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      socket.off('readable', onReadable).off('error', onError).off('end', onEnd);
      settle();
    };
    const onError = (error: Error): void => finish(() => reject(error));
    const onEnd = (): void => onError(new Error('the proxy closed the connection'));
    const onReadable = (): void => {
      for (let part = socket.read() as Buffer | null; part !== null; part = socket.read() as Buffer | null) {
        read = Buffer.concat([read, part]);
      }
      const end = read.indexOf('\r\n\r\n');
      if (end === -1) {
        if (read.length > LONGEST_ANSWER) onError(new Error('the answer of the proxy is too long'));
        return;
      }
      finish(() => {
        socket.unshift(read.subarray(end + 4));
        resolve(Number(/^HTTP\/1\.[01] (\d{3})/.exec(read.toString('latin1'))?.[1] ?? 0));
      });
    };
    const timer = setTimeout(() => onError(new Error('the proxy did not answer')), ANSWER_MS);
    socket.on('readable', onReadable).once('error', onError).once('end', onEnd);
  });
}

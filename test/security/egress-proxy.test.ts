import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { createEgressGuard, type EgressOptions } from '../../src/security/egress.ts';
import { startEgressProxy, type EgressProxy, type EgressProxyOptions } from '../../src/security/egress-proxy.ts';
import { proxyFor } from '../../src/security/upstream-proxy.ts';

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const ending of endings.splice(0).reverse()) await ending();
});

/** A server that says its name to every request, and remembers them. */
async function server(name: string): Promise<{ port: number; seen: string[] }> {
  const seen: string[] = [];
  const http = createServer((request: IncomingMessage, response) => {
    seen.push(`${request.method} ${request.headers.host} ${request.url}`);
    request.resume().once('end', () => response.end(name));
  });
  await listening(http);
  return { port: (http.address() as AddressInfo).port, seen };
}

async function listening(http: Server): Promise<void> {
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  endings.push(() => {
    http.closeAllConnections();
    http.close();
  });
}

async function proxy(
  egress: EgressOptions,
  options: Partial<EgressProxyOptions> = {},
): Promise<EgressProxy & { port: number; authorization: string }> {
  const started = await startEgressProxy({ guard: createEgressGuard(egress), environment: {}, ...options });
  endings.push(async () => await started.close());
  const { port, username, password } = new URL(started.url);
  const credentials = Buffer.from(`${username}:${password}`).toString('base64');
  return { ...started, port: Number(port), authorization: `Basic ${credentials}` };
}

/** Sends raw bytes and reads until the other side closes, or `until` is in what came. */
async function talk(port: number, text: string, until: string | null = null): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  endings.push(() => socket.destroy());
  socket.write(text);
  let read = '';
  for await (const part of socket as AsyncIterable<Buffer>) {
    read += part.toString();
    if (until !== null && read.includes(until)) break;
  }
  return read;
}

const connectTo = (authority: string, authorization: string): string =>
  `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\nProxy-Authorization: ${authorization}\r\n\r\n`;
const getOf = (url: string, authorization: string): string =>
  `GET ${url} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: ${authorization}\r\nConnection: close\r\n\r\n`;

describe('the proxy of a source', () => {
  it('leads to hosts that the guard allows, by request and by tunnel', async () => {
    const target = await server('target');
    const { port, authorization } = await proxy({ allow: ['127.0.0.1'] });
    const url = `http://127.0.0.1:${target.port}/a?b`;
    expect(await talk(port, getOf(url, authorization))).toMatch(/^HTTP\/1\.1 200 [^]*target/);
    const tunnel = `${connectTo(`127.0.0.1:${target.port}`, authorization)}GET /c HTTP/1.1\r\nHost: in\r\nConnection: close\r\n\r\n`;
    expect(await talk(port, tunnel)).toMatch(/^HTTP\/1\.1 200 Connection established[^]*target/);
    expect(target.seen).toEqual([`GET 127.0.0.1:${target.port} /a?b`, 'GET in /c']);
  });

  it('is closed to whoever does not know its password', async () => {
    const target = await server('target');
    const { port } = await proxy({ allow: ['127.0.0.1'] });
    for (const authorization of ['', 'Basic eDp5', `Basic ${'A'.repeat(200)}`]) {
      expect(await talk(port, connectTo(`127.0.0.1:${target.port}`, authorization))).toMatch(/^HTTP\/1\.1 403 /);
      expect(await talk(port, getOf(`http://127.0.0.1:${target.port}/`, authorization))).toMatch(/^HTTP\/1\.1 403 /);
    }
    expect(target.seen).toEqual([]);
  });

  it.each([
    ['an address of this machine', '127.0.0.1'],
    ['the same in another spelling', '[::ffff:127.0.0.1]'],
    ['an address of metadata', '169.254.169.254'],
    ['a name that leads inside', 'inside.example.com'],
    ['an internal name', 'localhost'],
  ])('refuses %s', async (_, host) => {
    const target = await server('target');
    const { port, authorization } = await proxy({ resolve: async () => ['10.1.2.3'] });
    const refused = /^HTTP\/1\.1 403 e3 host not allowed\r\n/;
    expect(await talk(port, connectTo(`${host}:${target.port}`, authorization))).toMatch(refused);
    expect(await talk(port, getOf(`http://${host}:${target.port}/`, authorization))).toMatch(refused);
    expect(target.seen).toEqual([]);
  });

  it('checks a name at each connection, not once', async () => {
    const answers = [['203.0.113.9'], ['127.0.0.1']];
    const asked: string[] = [];
    const { port, authorization } = await proxy({
      resolve: async (host) => {
        asked.push(host);
        return ['93.184.215.14', ...(answers[asked.length] ?? ['127.0.0.1'])];
      },
    });
    for (let i = 0; i < 2; i += 1)
      expect(await talk(port, connectTo('moving.example.com:80', authorization))).toMatch(/403 e3 host not allowed/);
    expect(asked).toEqual(['moving.example.com', 'moving.example.com']);
  });

  it('says when a host is unknown, and when nothing listens there', async () => {
    const free = createTcpServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const { port: closed } = free.address() as AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    const { port, authorization } = await proxy({ allow: ['127.0.0.1'], resolve: async () => [] });
    expect(await talk(port, connectTo('nowhere.example.com:443', authorization))).toMatch(/502 e3 host unknown/);
    expect(await talk(port, connectTo(`127.0.0.1:${closed}`, authorization))).toMatch(/502 e3 connection refused/);
    expect(await talk(port, 'CONNECT  HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1\.1 40[03] /);
  });

  it('leads to one server alone where it was told so, whatever host is asked for', async () => {
    const [own, other] = [await server('own'), await server('other')];
    const only = { host: 'files.example.com', port: own.port, address: '127.0.0.1' };
    const { port, authorization } = await proxy({}, { server: only });
    const tunnel = (authority: string): string =>
      `${connectTo(authority, authorization)}GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    expect(await talk(port, tunnel(`10.9.8.7:${own.port}`))).toContain('own');
    expect(await talk(port, connectTo('files.example.com:22', authorization))).toMatch(/403 e3 host not allowed/);
    expect(other.seen).toEqual([]);
  });

  it('goes by the proxy of the operator, after its own check', async () => {
    const target = await server('target');
    const asked: string[] = [];
    const upstream = createServer();
    upstream.on('connect', (request: IncomingMessage, client) => {
      asked.push(`${request.url} ${request.headers['proxy-authorization']}`);
      const out = connect(target.port, '127.0.0.1', () => {
        client.write('HTTP/1.1 200 OK\r\nX-More: 1\r\n\r\n');
        client.pipe(out).pipe(client);
      });
    });
    await listening(upstream);
    const environment = { HTTPS_PROXY: `http://me:secret@127.0.0.1:${(upstream.address() as AddressInfo).port}` };
    const resolve = async (host: string) => [host === 'inside.example.com' ? '10.0.0.1' : '93.184.215.14'];
    const { port, authorization } = await proxy({ resolve }, { environment });
    const tunnel = `${connectTo('outside.example.com:443', authorization)}GET / HTTP/1.1\r\nHost: y\r\nConnection: close\r\n\r\n`;
    expect(await talk(port, tunnel)).toContain('target');
    expect(await talk(port, connectTo('inside.example.com:443', authorization))).toMatch(/403/);
    expect(asked).toEqual([`outside.example.com:443 Basic ${Buffer.from('me:secret').toString('base64')}`]);
  });

  it('ends every connection when it is closed', async () => {
    const silent = createTcpServer(() => undefined).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    endings.push(() => silent.close());
    const started = await proxy({ allow: ['127.0.0.1'] });
    const { port } = silent.address() as AddressInfo;
    const socket = connect(started.port, '127.0.0.1');
    socket.write(connectTo(`127.0.0.1:${port}`, started.authorization));
    await once(socket, 'data');
    const closed = once(socket, 'close');
    await started.close();
    await closed;
    expect(socket.destroyed).toBe(true);
  });
});

describe('the proxy of the operator', () => {
  const environment = { HTTPS_PROXY: 'http://proxy.example.com:3128', no_proxy: '.corp.example, exact.example:443' };

  it.each([
    ['https', 'example.com', 'proxy.example.com'],
    ['http', 'example.com', null],
    ['https', 'a.corp.example', null],
    ['https', 'exact.example', null],
    ['https', 'notcorp.example', 'proxy.example.com'],
    ['https', '127.0.0.1', null],
  ] as const)('is asked for %s to %s: %s', (scheme, host, expected) => {
    expect(proxyFor(scheme, host, environment)?.host ?? null).toBe(expected);
  });

  it('is not asked where it is none that speaks HTTP', () => {
    expect(proxyFor('https', 'example.com', { https_proxy: 'socks5://127.0.0.1:1' })).toBeNull();
    expect(proxyFor('https', 'example.com', { https_proxy: 'http://%%' })).toBeNull();
  });
});

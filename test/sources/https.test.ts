import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cloudHttp } from '../../src/sources/oauth/https.ts';
import { startCloudFake, type CloudFake } from '../servers/cloud-fake.ts';

let fake: CloudFake;
beforeAll(async () => {
  fake = await startCloudFake();
}, 60_000);
afterAll(async () => await fake.stop());

const about = { method: 'GET', url: 'https://www.googleapis.com/drive/v3/about' } as const;

it('requests to a service go through the proxy, by certificates that are trusted', async () => {
  fake.connects.length = 0;
  const answer = await cloudHttp(fake.env).send(about);
  expect(answer).toMatchObject({ status: 401, json: { error: { code: 401 } } });
  expect(fake.connects).toEqual(['www.googleapis.com:443']);
  const { SSL_CERT_FILE: _ca, ...untrusting } = fake.env;
  await expect(cloudHttp(untrusting).send(about)).rejects.toMatchObject({ code: 'ERR_TLS' });
});

it('a certificate for another name is refused', async () => {
  const other = { method: 'GET', url: 'https://somewhere.example.test/' } as const;
  await expect(cloudHttp(fake.env).send(other)).rejects.toMatchObject({ code: 'ERR_TLS' });
});

it('hosts that are excepted from the proxy are asked directly', async () => {
  fake.connects.length = 0;
  const direct = cloudHttp({ ...fake.env, NO_PROXY: 'example.com, .invalid' });
  await expect(direct.send({ method: 'GET', url: 'https://nobody.invalid/' })).rejects.toMatchObject({
    code: 'ERR_HOST_UNKNOWN',
  });
  expect(fake.connects).toEqual([]);
  expect((await direct.send(about)).status).toBe(401);
});

it('a proxy that wants a password is given the one of its address, and its refusal is told', async () => {
  const asked: (string | undefined)[] = [];
  const proxy: Server = createServer();
  proxy.on('connect', (request, socket) => {
    asked.push(request.headers['proxy-authorization']);
    socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const { port } = proxy.address() as AddressInfo;
  const http = cloudHttp({ HTTPS_PROXY: `http://me:s%40cret@127.0.0.1:${port}` });
  await expect(http.send(about)).rejects.toMatchObject({ code: 'ERR_NETWORK' });
  expect(asked).toEqual([`Basic ${Buffer.from('me:s@cret').toString('base64')}`]);
  proxy.close();
  await expect(http.send(about)).rejects.toMatchObject({ code: 'ERR_CONNECTION_REFUSED' });
});

it('whoever waits no longer gets its own reason back', async () => {
  const reason = new Error('the page was left');
  await expect(cloudHttp(fake.env).send({ ...about, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});

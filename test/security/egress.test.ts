import { describe, expect, it } from '@jest/globals';
import { createEgressGuard, parseEndpoint, type Resolver } from '../../src/security/egress.ts';

const PUBLIC = '93.184.216.34';
const PUBLIC_V6 = '2606:2800:220:1:248:1893:25c8:1946';
const refused = expect.objectContaining({ code: 'HOST_NOT_ALLOWED' });

/** Names of a small DNS; every other name does not exist. */
function dns(names: Record<string, readonly string[]>): Resolver {
  return async (host) => {
    const addresses = names[host];
    if (addresses === undefined) throw Object.assign(new Error('not found'), { code: 'ENOTFOUND' });
    return addresses;
  };
}

describe('the egress guard', () => {
  const guard = createEgressGuard({
    resolve: dns({
      'files.example.com': [PUBLIC],
      'six.example.com': [PUBLIC_V6],
      'both.example.com': [PUBLIC, PUBLIC_V6],
      'rebind.example.com': [PUBLIC, '10.0.0.5'],
      'rebind6.example.com': [PUBLIC_V6, '::ffff:127.0.0.1'],
      'loop.example.com': ['127.0.0.1'],
      'metadata.example.com': ['169.254.169.254'],
      'zone.example.com': ['fe80::1%eth0'],
      'nothing.example.com': [],
      'odd.example.com': ['not an address'],
    }),
  });

  it.each(['files.example.com', 'FILES.example.com', 'files.example.com.', 'six.example.com', 'both.example.com'])(
    'lets the public host %s through',
    async (host) => {
      const allowed = await guard.check(host, 22);
      expect(allowed.host).toBe(host.toLowerCase().replace(/\.$/, ''));
      expect(allowed.addresses.length).toBeGreaterThan(0);
    },
  );

  it.each([PUBLIC, PUBLIC_V6, `[${PUBLIC_V6}]`, '1.1.1.1', '172.15.255.255', '172.32.0.1', '100.63.0.1', '192.0.1.1'])(
    'lets the public address %s through',
    async (address) => {
      await expect(guard.check(address, 443)).resolves.toMatchObject({ port: 443 });
    },
  );

  it.each([
    ['this host', '0.0.0.0'],
    ['this network', '0.1.2.3'],
    ['loopback', '127.0.0.1'],
    ['loopback, not the usual one', '127.99.99.99'],
    ['private', '10.0.0.1'],
    ['private', '172.16.0.1'],
    ['private', '172.31.255.254'],
    ['private', '192.168.1.1'],
    ['carrier-grade NAT', '100.64.0.1'],
    ['link-local and metadata', '169.254.169.254'],
    ['metadata of a container service', '169.254.170.2'],
    ['metadata of a cloud', '100.100.100.200'],
    ['metadata of a cloud', '192.0.0.192'],
    ['platform address of a cloud', '168.63.129.16'],
    ['benchmarks', '198.18.0.1'],
    ['documentation', '192.0.2.1'],
    ['documentation', '203.0.113.9'],
    ['6to4 relay', '192.88.99.1'],
    ['multicast', '224.0.0.1'],
    ['reserved', '240.0.0.1'],
    ['broadcast', '255.255.255.255'],
    ['unspecified', '::'],
    ['loopback', '::1'],
    ['loopback, written out', '0:0:0:0:0:0:0:1'],
    ['unique local', 'fc00::1'],
    ['unique local', 'fd12:3456:789a::1'],
    ['metadata of a cloud', 'fd00:ec2::254'],
    ['link-local', 'fe80::1'],
    ['link-local with a zone', 'fe80::1%eth0'],
    ['a public address with a zone', `${PUBLIC_V6}%1`],
    ['site-local', 'fec0::1'],
    ['multicast', 'ff02::1'],
    ['mapped loopback', '::ffff:127.0.0.1'],
    ['mapped private', '::ffff:10.0.0.1'],
    ['mapped private in hexadecimal', '::ffff:a00:1'],
    ['compatible loopback', '::127.0.0.1'],
    ['NAT64 of a private address', '64:ff9b::10.0.0.1'],
    ['NAT64 of a metadata address', '64:ff9b::a9fe:a9fe'],
    ['local NAT64', '64:ff9b:1::1'],
    ['6to4 of a private address', '2002:a00:1::1'],
    ['Teredo', '2001::1'],
    ['documentation', '2001:db8::1'],
    ['discard', '100::1'],
  ])('refuses the address of %s: %s', async (_name, address) => {
    await expect(guard.check(address, 443)).rejects.toEqual(refused);
    if (address.includes(':')) await expect(guard.check(`[${address}]`, 443)).rejects.toEqual(refused);
    expect(() => guard.checkName(address, 443)).toThrow(refused);
    const byName = createEgressGuard({ resolve: async () => [address] });
    await expect(byName.check('name.example.com', 443)).rejects.toEqual(refused);
  });

  it.each([
    '2130706433',
    '0x7f000001',
    '0x7f.0.0.1',
    '0177.0.0.1',
    '127.1',
    '127.0.1',
    '010.0.0.1',
    '0',
    '127.0.0.1.',
    '10.0.0.1.',
    '93.184.216.034',
    '1.2.3.0x4',
    '256.1.1.1',
    '1.1.1.1.1',
  ])('refuses %s, which some resolvers take for an address', async (host) => {
    const everything = createEgressGuard({ resolve: async () => [PUBLIC] });
    await expect(everything.check(host, 80)).rejects.toEqual(refused);
  });

  it.each([
    'localhost',
    'LOCALHOST',
    'localhost.',
    'sub.localhost',
    'localhost.localdomain',
    'metadata.google.internal',
    'printer.local',
    'router.lan',
    'nas.home.arpa',
  ])('refuses the name %s whatever it resolves to', async (host) => {
    const everything = createEgressGuard({ resolve: async () => [PUBLIC] });
    await expect(everything.check(host, 80)).rejects.toEqual(refused);
    expect(() => everything.checkName(host, 80)).toThrow(refused);
  });

  it.each([
    '',
    '.',
    '..',
    '.example.com',
    'files..example.com',
    'files.example.com..',
    'files.example.com\n',
    'files.example.com\u0000.evil.com',
    'files.example.com/path',
    'user@files.example.com',
    'files example.com',
    '-o ProxyCommand=x',
    '\u2460\u2461\u2466.0.0.1',
    'loc\u00e4lhost',
    'a'.repeat(254),
  ])('refuses %j, which is no host', async (host) => {
    const everything = createEgressGuard({ resolve: async () => [PUBLIC] });
    await expect(everything.check(host, 80)).rejects.toEqual(refused);
  });

  it.each([
    'rebind.example.com',
    'rebind6.example.com',
    'loop.example.com',
    'metadata.example.com',
    'zone.example.com',
    'odd.example.com',
  ])('refuses %s because one of its addresses is not public', async (host) => {
    await expect(guard.check(host, 443)).rejects.toEqual(refused);
  });

  it.each(['missing.example.com', 'nothing.example.com'])('says that %s is not known', async (host) => {
    await expect(guard.check(host, 443)).rejects.toMatchObject({ code: 'ERR_HOST_UNKNOWN' });
  });

  it('lets through what the operator allows, by name, by name and port, and by address', async () => {
    const open = createEgressGuard({
      allow: ['NAS.example.lan', '127.0.0.1:9000', '[fd00::5]:22', 'fd00::6', 'localhost:2022', '10.0.0.9'],
      resolve: dns({}),
    });
    await expect(open.check('nas.example.lan', 445)).resolves.toMatchObject({ host: 'nas.example.lan' });
    await expect(open.check('127.0.0.1', 9000)).resolves.toBeDefined();
    await expect(open.check('fd00::5', 22)).resolves.toBeDefined();
    await expect(open.check('[fd00::6]', 22)).resolves.toBeDefined();
    await expect(open.check('localhost', 2022)).resolves.toBeDefined();
    await expect(open.check('10.0.0.9', 1)).resolves.toBeDefined();
    expect(() => open.checkName('127.0.0.1', 9000)).not.toThrow();

    await expect(open.check('127.0.0.1', 9001)).rejects.toEqual(refused);
    await expect(open.check('fd00::5', 23)).rejects.toEqual(refused);
    await expect(open.check('localhost', 22)).rejects.toEqual(refused);
    await expect(open.check('sub.nas.example.lan', 445)).rejects.toEqual(refused);
    await expect(open.check('2130706433', 9000)).rejects.toEqual(refused);
  });

  it('lets nothing through for an entry that merely ends in an allowed name', async () => {
    const open = createEgressGuard({ allow: ['nas.example.com'], resolve: async () => ['10.0.0.1'] });
    await expect(open.check('evil-nas.example.com', 1)).rejects.toEqual(refused);
    await expect(open.check('nas.example.com.evil.org', 1)).rejects.toEqual(refused);
  });
});

describe('endpoints', () => {
  it.each([
    ['https://s3.example.com', 's3.example.com', 443],
    ['http://s3.example.com', 's3.example.com', 80],
    ['https://s3.example.com:9000/base/', 's3.example.com', 9000],
    ['s3.example.com:7480', 's3.example.com', 7480],
    ['https://[2606:2800:220:1::1]:8443', '[2606:2800:220:1::1]', 8443],
  ])('%s is %s, port %d', (endpoint, host, port) => {
    expect(parseEndpoint(endpoint)).toEqual({ host, port });
  });

  it.each([
    '',
    'ftp://example.com',
    'file:///etc/passwd',
    'https://',
    'https://user@example.com',
    'https://user:pass@example.com',
    'https://example.com#x',
    'https://example.com?x=1',
    'https://exa\nmple.com',
    'https://example.com\t',
    'https:\\\\example.com',
    'javascript:alert(1)',
  ])('%j is refused', (endpoint) => {
    expect(() => parseEndpoint(endpoint)).toThrow(expect.objectContaining({ code: 'ERR_SOURCE_CONFIG' }));
  });

  it('are checked by what they lead to, in whatever way the address is written', async () => {
    const guard = createEgressGuard({ resolve: async () => [PUBLIC] });
    await expect(guard.checkUrl('https://s3.example.com')).resolves.toMatchObject({ port: 443 });
    for (const url of [
      'http://2130706433/',
      'http://0x7f.1/',
      'http://127.1:80',
      'http://[::1]/',
      'http://[::ffff:7f00:1]/',
      'http://127.0.0.1./',
      'http://localhost/',
      'http://\u2461.0.0.1/',
      'http://169.254.169.254/latest/meta-data',
    ]) {
      const outcome = guard.checkUrl(url);
      // WHATWG normalises many spellings; what is left must be refused as an address.
      if (url.includes('\u2461')) await expect(outcome).resolves.toMatchObject({ host: '2.0.0.1' });
      else await expect(outcome).rejects.toEqual(refused);
    }
  });
});

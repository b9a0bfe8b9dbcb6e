import { describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { isOwnOrigin, issueCsrfToken, verifyCsrfToken } from '../../src/security/csrf.ts';

describe('the CSRF token', () => {
  const key = randomBytes(32);

  it('is good for its own sign-in, and for no other', () => {
    const token = issueCsrfToken(key, 'session-of-ada');
    expect(verifyCsrfToken([key], 'session-of-ada', token)).toBe(true);
    expect(verifyCsrfToken([key], 'session-of-grace', token)).toBe(false);
    expect(verifyCsrfToken([key], '', token)).toBe(false);
    expect(verifyCsrfToken([key], '', issueCsrfToken(key, ''))).toBe(false);
    expect(verifyCsrfToken([randomBytes(32)], 'session-of-ada', token)).toBe(false);
  });

  it('is good under a former key while that is configured', () => {
    const former = randomBytes(32);
    const token = issueCsrfToken(former, 'session');
    expect(verifyCsrfToken([key, former], 'session', token)).toBe(true);
    expect(verifyCsrfToken([key], 'session', token)).toBe(false);
  });

  it('is another one on every page', () => {
    expect(issueCsrfToken(key, 'session')).not.toBe(issueCsrfToken(key, 'session'));
  });

  it('cannot be moved between nonce and session', () => {
    const nonce = Buffer.alloc(16, 1);
    const [plain = '', mac = ''] = issueCsrfToken(key, 'ab', () => nonce).split('.');
    expect(verifyCsrfToken([key], 'b', `${plain}a.${mac}`)).toBe(false);
  });

  it.each([undefined, null, '', 'x', 1, {}, ['x'], '.', 'a'.repeat(66), `${'a'.repeat(22)}.${'a'.repeat(43)}`])(
    'is not %j',
    (token) => {
      expect(verifyCsrfToken([key], 'session', token)).toBe(false);
    },
  );
});

describe('the origin of a request', () => {
  const host = 'portal.example.com';
  const own = { secFetchSite: undefined, origin: undefined, host };

  it.each([
    ['Fetch metadata says so', { ...own, secFetchSite: 'same-origin' }],
    ['its origin is this host', { ...own, origin: 'https://portal.example.com' }],
    [
      'its origin is this host with its port',
      { ...own, origin: 'http://portal.example.com:3000', host: `${host}:3000` },
    ],
    [
      'its origin is this host with the usual port',
      { ...own, origin: 'https://portal.example.com', host: `${host}:443` },
    ],
    ['it has neither header, as from a program', own],
  ])('is ours when %s', (_name, request) => {
    expect(isOwnOrigin(request)).toBe(true);
  });

  it.each([
    ['another site', { ...own, secFetchSite: 'cross-site' }],
    ['a sister domain', { ...own, secFetchSite: 'same-site' }],
    ['the address bar', { ...own, secFetchSite: 'none' }],
    ['a browser that says both', { ...own, secFetchSite: 'cross-site', origin: 'https://portal.example.com' }],
    ['another host', { ...own, origin: 'https://evil.example.com' }],
    ['a host that begins alike', { ...own, origin: 'https://portal.example.com.evil.org' }],
    ['another port', { ...own, origin: 'https://portal.example.com:8443' }],
    ['a sandboxed frame', { ...own, origin: 'null' }],
    ['an origin that is none', { ...own, origin: 'portal.example.com' }],
    ['an origin with a path', { ...own, origin: 'https://portal.example.com/x' }],
    ['nowhere, to no host', { ...own, origin: 'https://portal.example.com', host: undefined }],
  ])('is not ours when it comes from %s', (_name, request) => {
    expect(isOwnOrigin(request)).toBe(false);
  });

  it('is ours when the operator trusts it', () => {
    const request = { secFetchSite: 'cross-site', origin: 'https://account.example.com', host };
    expect(isOwnOrigin(request, ['https://account.example.com'])).toBe(true);
    expect(isOwnOrigin(request, ['https://other.example.com'])).toBe(false);
  });
});

import { describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { loadSecrets, Secrets, storedForm } from '../../src/security/envelope.ts';
import { openLegacy, sealLegacy } from '../../src/security/legacy.ts';

const UUID = '01980000-0000-7000-8000-000000000001';
const OTHER_UUID = '01980000-0000-7000-8000-000000000002';
const LABEL = 'job.source-config';

/** What OpenSSL's command line makes of it. */
function openssl(args: readonly string[], input: Buffer | string = ''): Buffer {
  return execFileSync('openssl', [...args], { input, stdio: ['pipe', 'pipe', 'pipe'] });
}

function hkdfByOpenssl(secret: string, purpose: string): Buffer {
  const hex = (text: string): string => Buffer.from(text, 'utf8').toString('hex');
  return openssl([
    'kdf',
    ...['-keylen', '32', '-kdfopt', 'digest:SHA256', '-binary'],
    ...['-kdfopt', `hexkey:${hex(secret)}`, '-kdfopt', `hexinfo:${hex(purpose)}`, 'HKDF'],
  ]);
}

/** The older format as its first writers made it: raw passphrase as key, zero-padded or cut to 32 bytes. */
function legacyByOpenssl(passphrase: string, text: string, iv = randomBytes(16)): string {
  const key = Buffer.concat([Buffer.from(passphrase, 'utf8'), Buffer.alloc(32)]).subarray(0, 32);
  const ciphertext = openssl(['enc', '-aes-256-cbc', '-K', key.toString('hex'), '-iv', iv.toString('hex')], text);
  return Buffer.concat([iv, ciphertext]).toString('base64');
}

describe('the envelope', () => {
  const secrets = new Secrets(['the configured secret']);

  it('opens what it sealed, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        if (!text.isWellFormed()) return;
        expect(secrets.open(LABEL, UUID, secrets.seal(LABEL, UUID, text))).toBe(text);
      }),
    );
  });

  it('names version and key, and never makes the same value twice', () => {
    const [one, two] = [secrets.seal(LABEL, UUID, '{}'), secrets.seal(LABEL, UUID, '{}')];
    expect(one).toMatch(/^v2:[0-9a-f]{8}:[A-Za-z0-9+/]+=*$/);
    expect(one.split(':')[1]).toBe(secrets.current.keyId);
    expect(one).not.toBe(two);
    expect(storedForm(one)).toEqual({ kind: 'v2', keyId: secrets.current.keyId });
  });

  it('opens in the column and row it was sealed for, and in no other', () => {
    const value = secrets.seal(LABEL, UUID, '{}');
    const corrupt = expect.objectContaining({ code: 'ERR_SECRET_CORRUPT' });
    expect(() => secrets.open(LABEL, OTHER_UUID, value)).toThrow(corrupt);
    expect(() => secrets.open('source.refresh-token', UUID, value)).toThrow(corrupt);
    expect(secrets.open(LABEL, UUID.toUpperCase(), value)).toBe('{}');
  });

  it('notices every changed byte', () => {
    const value = secrets.seal(LABEL, UUID, 'some text');
    const [version, keyId, content = ''] = value.split(':');
    const bytes = Buffer.from(content, 'base64');
    for (let index = 0; index < bytes.length; index += 1) {
      const changed = Buffer.from(bytes);
      changed[index] = (changed[index] ?? 0) ^ 1;
      expect(() => secrets.open(LABEL, UUID, `${version}:${keyId}:${changed.toString('base64')}`)).toThrow(
        expect.objectContaining({ code: 'ERR_SECRET_CORRUPT' }),
      );
    }
  });

  it.each(['', 'v2:', 'v2:00000000:', 'v2:zzzzzzzz:AAAA', 'v1:00000000:AAAA', '{"plain":"text"}', 'v2:00000000:AAAA'])(
    'takes %j for damaged',
    (value) => {
      expect(() => secrets.open(LABEL, UUID, value)).toThrow(expect.objectContaining({ code: 'ERR_SECRET_CORRUPT' }));
      expect(storedForm(value).kind).toBe('unreadable');
    },
  );

  it('says when the key of a value is not configured', () => {
    const value = new Secrets(['another secret']).seal(LABEL, UUID, '{}');
    expect(() => secrets.open(LABEL, UUID, value)).toThrow(expect.objectContaining({ code: 'ERR_KEY_UNKNOWN' }));
  });

  it('is what AES-GCM, HKDF and SHA-256 of OpenSSL make of it', () => {
    const key = hkdfByOpenssl('the configured secret', 'e3/envelope');
    expect(openssl(['dgst', '-sha256', '-binary'], key).toString('hex').slice(0, 8)).toBe(secrets.current.keyId);
    expect(secrets.layoutMacKey(secrets.current.keyId, UUID)).toEqual(
      hkdfByOpenssl('the configured secret', `e3/layout-mac${UUID}`),
    );
    expect(() => secrets.layoutMacKey('00000000', UUID)).toThrow(expect.objectContaining({ code: 'ERR_KEY_UNKNOWN' }));
  });

  it('shows no secret when it is printed', () => {
    const printed = `${inspect(secrets, { depth: 9, showHidden: true })} ${JSON.stringify(secrets)} ${String(secrets)}`;
    expect(printed).not.toContain('the configured secret');
    expect(printed).toContain(secrets.current.keyId);
  });
});

describe('the configured secrets', () => {
  const order = [
    'CLOUD_BACKUP_ENCRYPTION_KEY',
    'CLOUD_STORAGE_ENCRYPTION_KEY',
    'ENCRYPTION_KEY',
    'cloudbackup_encryption_key',
    'encryption_key',
  ];
  const isSetting = (name: string): boolean => name === name.toLowerCase();
  const keyIdOf = (secret: string): string => new Secrets([secret]).current.keyId;

  it.each(order.map((_, index) => index))('are written with in the order of their names, from number %d on', (from) => {
    const env: Record<string, string> = {};
    const settings = new Map<string, string>();
    order.forEach((name, index) => {
      const value = index < from ? '' : `secret of ${name}`;
      if (isSetting(name)) settings.set(name, value);
      else env[name] = value;
    });
    const secrets = loadSecrets({ env, settings });
    expect(secrets.current.keyId).toBe(keyIdOf(`secret of ${order[from]}`));
    expect(secrets.keyIds).toEqual(order.slice(from).map((name) => keyIdOf(`secret of ${name}`)));
  });

  it('must be there', () => {
    const missing = expect.objectContaining({ code: 'ERR_NO_ENCRYPTION_KEY' });
    expect(() => loadSecrets({ env: {} })).toThrow(missing);
    expect(() => loadSecrets({ env: { ENCRYPTION_KEY: '' }, settings: new Map([['encryption_key', '']]) })).toThrow(
      missing,
    );
    expect(() => loadSecrets({ env: { CLOUD_BACKUP_ENCRYPTION_KEY_PREVIOUS: 'former' } })).toThrow(missing);
  });

  it('read with former ones too, and never write with them', () => {
    const former = new Secrets(['former']).seal(LABEL, UUID, '{"a":1}');
    const secrets = loadSecrets({
      env: { CLOUD_BACKUP_ENCRYPTION_KEY: 'current', CLOUD_BACKUP_ENCRYPTION_KEY_PREVIOUS: 'oldest, former,' },
    });
    expect(secrets.open(LABEL, UUID, former)).toBe('{"a":1}');
    expect(secrets.current.keyId).toBe(keyIdOf('current'));
    expect(secrets.csrfKeys()).toHaveLength(secrets.keyIds.length);
  });
});

describe('the older format', () => {
  const config = JSON.stringify({ endpoint: 'https://s3.example.com', secret_key: 'schlüssel "mit" \\ allem' });

  it.each([
    ['shorter than 32 bytes', 'short'],
    ['of exactly 32 bytes', 'a'.repeat(32)],
    ['longer than 32 bytes', 'a passphrase that is a good deal longer than thirty-two bytes'],
    ['with characters of several bytes', 'Schlüssel für alles'],
    ['whose 32nd byte lies inside a character', `${'x'.repeat(31)}ü and more`],
  ])('is read with a passphrase %s, as OpenSSL wrote it', (_name, passphrase) => {
    const value = legacyByOpenssl(passphrase, config);
    expect(storedForm(value).kind).toBe('legacy');
    expect(new Secrets(['another', passphrase]).open(LABEL, UUID, value)).toBe(config);
    expect(sealLegacy(config, passphrase, Buffer.from(value, 'base64').subarray(0, 16))).toBe(value);
  });

  it('is accepted only when it is what it should be', () => {
    const secrets = new Secrets(['passphrase']);
    expect(secrets.openHostOwned(legacyByOpenssl('passphrase', 'AKIAEXAMPLE'), 's3-key')).toBe('AKIAEXAMPLE');
    for (const [text, shape] of [
      ['AKIA EXAMPLE', 's3-key'],
      ['schlüssel', 's3-key'],
      ['', 's3-key'],
      ['not json', 'json'],
      ['"a string"', 'json'],
      ['{"cut":', 'json'],
    ] as const) {
      expect(openLegacy(legacyByOpenssl('passphrase', text), 'passphrase', shape)).toBeNull();
    }
  });

  it('with a wrong passphrase is never taken for something, although its padding may be right', () => {
    const iv = Buffer.alloc(16, 7);
    const values = [sealLegacy(config, 'right', iv), sealLegacy('AKIAIOSFODNN7EXAMPLE', 'right', iv)];
    for (let index = 0; index < 3_000; index += 1) {
      const [json = '', key = ''] = values;
      expect(openLegacy(json, `wrong ${index}`, 'json')).toBeNull();
      expect(openLegacy(key, `wrong ${index}`, 's3-key')).toBeNull();
    }
    expect(() => new Secrets(['wrong']).open(LABEL, UUID, values[0] ?? '')).toThrow(
      expect.objectContaining({ code: 'ERR_KEY_UNKNOWN' }),
    );
  });

  it('is refused in columns that never held it', () => {
    const value = legacyByOpenssl('passphrase', '{}');
    expect(() => new Secrets(['passphrase']).open('command.payload', UUID, value)).toThrow(
      expect.objectContaining({ code: 'ERR_SECRET_CORRUPT' }),
    );
  });

  it('or v2 is what a host keeps; plain text is refused', () => {
    const secrets = new Secrets(['passphrase']);
    expect(secrets.openHostOwned(secrets.sealHostOwned('AKIAEXAMPLE'), 's3-key')).toBe('AKIAEXAMPLE');
    for (const plain of ['AKIAIOSFODNN7EXAMPLE', '{"access_key":"a"}', 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY']) {
      expect(() => secrets.openHostOwned(plain, 's3-key')).toThrow();
    }
  });
});

import { describe, expect, it } from '@jest/globals';
import { tmpdir } from 'node:os';
import { createRedactor, redact } from '../../src/security/redact.ts';

describe('redaction by form', () => {
  it.each([
    ['an authorization header', 'Authorization: AWS4-HMAC-SHA256 Credential=HIDDEN/20260101, Signature=HIDDEN'],
    ['a bearer token', 'sent Bearer HIDDEN-abc.def_ghi to the server'],
    ['user and password of an address', 'dial ftp://someone:HIDDEN@example.com/path failed'],
    ['a password with an at sign', 'https://user:HID@HIDDEN@example.com'],
    ['a query string', 'Get "https://s3.example.com/bucket?X-Amz-Signature=HIDDEN&partNumber=1": EOF'],
    ['a key in JSON', '{"access_key_id": "HIDDEN", "secret_access_key": "HIDDEN with \\" quote", "bucket":"b"}'],
    ['a key of a configuration file', 'secret_access_key = HIDDEN\nendpoint = https://s3.example.com'],
    ['an environment variable', 'RCLONE_CONFIG_DEST_SECRET_ACCESS_KEY=HIDDEN RCLONE_S3_ENV_AUTH=false'],
    ['an OAuth token', '{"access_token":"HIDDEN","refresh_token":"HIDDEN","expiry":"2026"}'],
    ['an argument', 'rclone --sftp-pass HIDDEN --s3-secret-access-key HIDDEN lsjson'],
    ['a quoted value with spaces', "password: 'HIDDEN HIDDEN'"],
    ['a cookie', 'Set-Cookie: session=HIDDEN; Path=/'],
    ['a Google token', 'token ya29.HIDDENHIDDENHIDDEN expired'],
    ['a Google refresh token', 'have 1//0HIDDENHIDDENHIDDENHIDDEN'],
    ['a JSON web token', 'got eyJhbGciOiJHIDDEN.eyJzdWIiOiHIDDEN.c2lnHIDDEN'],
    ['a value of our own envelope', 'row v2:0011aabb:SElEREVOSElEREVOHIDDENHIDDEN== is bad'],
    [
      'a private key',
      'key:\n-----BEGIN OPENSSH PRIVATE KEY-----\nHIDDEN\nHIDDEN\n-----END OPENSSH PRIVATE KEY-----\nend',
    ],
    ['a private key that was cut off', '-----BEGIN RSA PRIVATE KEY-----\nHIDDEN\nHIDD'],
  ])('hides %s', (_name, text) => {
    expect(redact(text)).not.toMatch(/HIDD/);
    expect(redact(text)).toMatch(/\[secret\]|\[query\]/);
  });

  it('hides an AWS access key id', () => {
    expect(redact('key AKIAIOSFODNN7EXAMPLE is unknown')).toBe('key [secret] is unknown');
  });

  it.each([
    '10.1.2.3',
    '127.0.0.1:5432',
    '192.168.10.20:443',
    '172.16.0.9',
    '169.254.169.254',
    '100.64.3.4',
    '[::1]:9000',
    '[fd12:3456::1]:443',
    'fe80::1%eth0',
    '[::ffff:10.0.0.1]:80',
    'localhost:8080',
    'rgw-3.internal',
    'nas.local:5000',
  ])('hides the internal address %s', (address) => {
    const text = `dial tcp ${address}: connect: connection refused`;
    expect(redact(text)).not.toContain(address.replace(/:\d+$/, ''));
    expect(redact(text)).toContain('[internal address]');
  });

  it.each([
    'dial tcp 93.184.216.34:443: i/o timeout',
    'version 1.75.2 of 10 files in 127 seconds',
    '172.32.0.1 and 192.169.1.1 and 100.128.0.1 are public',
    'lookup backup.example.com: no such host',
    'InvalidAccessKeyId: The AWS access key Id you provided does not exist',
    'SignatureDoesNotMatch: The request signature we calculated does not match',
    'at 12:34:56 the local cache was empty',
    'copied /home/customer/Documents/report.pdf',
    'Failed to copy: 5 tokens left in the bucket',
  ])('leaves %j as it is', (text) => {
    expect(redact(text)).toBe(text);
  });

  it('hides paths of the operator', () => {
    const text = `open ${tmpdir()}/e3-run-1/rclone.conf and /var/lib/e3-cloudbackup/runs/7/list.txt: no such file`;
    expect(redact(text)).toBe('open [path] and [path]: no such file');
    expect(redact(String.raw`open C:\ProgramData\e3\run\rclone.conf: denied`)).toBe('open [path]: denied');
  });

  it('takes no longer for hostile text', () => {
    const hostile = [
      'a.'.repeat(60_000),
      'token'.repeat(20_000),
      'x://'.repeat(30_000),
      'password="'.repeat(12_000),
      '-----BEGIN PRIVATE KEY-----'.repeat(5_000),
      '@'.repeat(120_000),
      'fe80:'.repeat(20_000),
      `${'a'.repeat(100_000)}.local`,
      'bearer '.repeat(20_000),
      'eyJaaaaaaaa.'.repeat(10_000),
    ];
    for (const text of hostile) {
      const before = process.cpuUsage().user;
      redact(text);
      expect((process.cpuUsage().user - before) / 1000).toBeLessThan(2_000);
    }
  });

  it('cuts what is too long to be read', () => {
    expect(redact('x'.repeat(1_000_000)).length).toBeLessThan(70_000);
  });
});

describe('redaction of known texts', () => {
  const secret = 'p&s"s wö/rd+1';
  const known = createRedactor({
    secrets: [secret, 'abcdefgh', 'abcdefghijkl', '-----BEGIN X-----\nline-one-of-the-key\nline-two-of-the-key'],
    names: { 'https://rgw.example.com:7480': '[storage]', 'rgw.example.com': '[storage]' },
  });

  it.each([
    secret,
    encodeURIComponent(secret),
    new URLSearchParams({ x: secret }).toString().slice(2),
    JSON.stringify(secret).slice(1, -1),
    JSON.stringify(JSON.stringify(secret)).slice(3, -3),
    Buffer.from(secret).toString('base64'),
    Buffer.from(secret).toString('base64url'),
  ])('finds a secret in the spelling %j', (spelling) => {
    expect(known(`before ${spelling} after`)).toBe('before [secret] after');
  });

  it('finds the longer of two secrets of which one begins the other, and single lines of a key', () => {
    expect(known('x abcdefghijkl y')).toBe('x [secret] y');
    expect(known('read line-two-of-the-key')).toBe('read [secret]');
  });

  it('puts names in the place of endpoints', () => {
    expect(known('Put "https://rgw.example.com:7480/bucket/key": EOF from rgw.example.com')).toBe(
      'Put "[storage]/bucket/key": EOF from [storage]',
    );
  });

  it('leaves words alone that a very short secret would tear apart', () => {
    expect(createRedactor({ secrets: ['a', 'the'] })('the cat')).toBe('the cat');
  });
});

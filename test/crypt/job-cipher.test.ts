import { beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { newCryptPasswords, openJobCipher, type JobCipher } from '../../src/crypt/job-cipher.ts';
import { streamSealed } from '../../src/crypt/sealed-object.ts';
import { loadNative, portable, TAG_BYTES } from '../../src/crypt/secretbox.ts';
import { FormatError } from '../../src/layout/entries.ts';
import { pathOfNativeName } from '../../src/layout/encoding.ts';
import { MemoryBucket } from '../../src/storage/memory.ts';
import { nativeName } from '../layout/names.ts';

const BLOCK = 65_536;
let cipher: JobCipher;
beforeAll(async () => {
  cipher = await openJobCipher({ password: 'not a secret', password2: 'nor salt' });
});

const path = fc
  .array(nativeName, { minLength: 1, maxLength: 4 })
  .map((names) => names.map((name) => pathOfNativeName(name)).join('/'));

/** A stream of these bytes in pieces of these sizes, again and again. */
function pieces(body: Buffer, sizes: readonly number[]): Readable {
  return Readable.from(
    (function* () {
      for (let at = 0, i = 0; at < body.length; i += 1) {
        const size = sizes[i % sizes.length] as number;
        yield body.subarray(at, at + size);
        at += size;
      }
    })(),
    { objectMode: false },
  );
}

/** One file, sealed as it comes. */
async function sealedFrom(body: Readable): Promise<Buffer> {
  const sealer = cipher.sealer();
  const parts: Buffer[] = [];
  for await (const piece of body as AsyncIterable<Buffer>) parts.push(sealer.update(piece));
  return Buffer.concat([...parts, sealer.end()]);
}

describe('names', () => {
  it('are those that rclone gives with the same passwords', () => {
    expect(cipher.keyOfPath('folder/file.txt')).toBe('4LvlkBQa8uV5q4PF6ahpWg/wYqetPo6H-IkRpDcs6s1pQ');
  });

  it('come back from their keys, and are hidden in them', () => {
    fc.assert(
      fc.property(path, (name) => {
        const key = cipher.keyOfPath(name);
        expect(cipher.pathOfKey(key)).toBe(name);
        expect(key).toMatch(/^[\w-]+(?:\/[\w-]+)*$/);
        expect(key.split('/')).toHaveLength(name.split('/').length);
      }),
    );
  });

  it('are not made of keys that nobody makes', () => {
    const key = cipher.keyOfPath('folder/file');
    const [folder = '', file = ''] = key.split('/');
    const flipped = (file.startsWith('A') ? 'B' : 'A') + file.slice(1);
    for (const other of [
      '',
      '/',
      'plain.txt',
      `${folder}/`,
      `/${file}`,
      `${folder}//${file}`,
      `${folder}/${flipped}`,
      `${key}=`,
      `${key}AAAA`,
      randomBytes(2064).toString('base64url'),
    ])
      expect([other, cipher.pathOfKey(other)]).toEqual([other, null]);
  });

  it('that are too long for any key stay too long', () => {
    expect(cipher.keyOfPath('x'.repeat(5_000)).length).toBeGreaterThan(5_000);
    expect(cipher.pathOfKey(cipher.keyOfPath('x'.repeat(5_000)))).toBeNull();
  });
});

describe('content', () => {
  it('comes back whatever pieces it comes in', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 150_000),
        fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 3 }),
        async (size, sizes) => {
          const body = randomBytes(size);
          const sealed = await sealedFrom(pieces(body, sizes));
          expect(sealed).toHaveLength(cipher.sealedSize(size));
          expect(cipher.open(sealed).equals(body)).toBe(true);
          expect((await buffer(pieces(sealed, sizes).pipe(cipher.openStream()))).equals(body)).toBe(true);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('of one file is never sealed into the same bytes twice', () => {
    const body = Buffer.from('the same');
    expect(cipher.seal(body).equals(cipher.seal(body))).toBe(false);
  });

  it('has sizes that tell each other', () => {
    fc.assert(
      fc.property(fc.nat({ max: 10 ** 12 }), (size) => expect(cipher.plainSize(cipher.sealedSize(size))).toBe(size)),
    );
    for (const sealed of [-1, 0, 31, 33, 48, 32 + BLOCK + 17])
      expect([sealed, cipher.plainSize(sealed)]).toEqual([sealed, null]);
  });

  it.each([
    ['another first byte', (sealed: Buffer) => flip(sealed, 0)],
    ['another nonce', (sealed: Buffer) => flip(sealed, 12)],
    ['another tag', (sealed: Buffer) => flip(sealed, 33)],
    ['another byte in the last block', (sealed: Buffer) => flip(sealed, sealed.length - 1)],
    ['a last block that is cut off', (sealed: Buffer) => sealed.subarray(0, -1)],
    [
      'blocks that changed places',
      (sealed: Buffer) =>
        Buffer.concat([
          sealed.subarray(0, 32),
          sealed.subarray(32 + BLOCK + 16, 32 + 2 * (BLOCK + 16)),
          sealed.subarray(32, 32 + BLOCK + 16),
          sealed.subarray(32 + 2 * (BLOCK + 16)),
        ]),
    ],
    ['a header only in part', (sealed: Buffer) => sealed.subarray(0, 20)],
    ['nothing at all', () => Buffer.alloc(0)],
  ])('with %s does not open', async (_, change) => {
    const changed = change(cipher.seal(randomBytes(2 * BLOCK + 100)));
    expect(() => cipher.open(changed)).toThrow(FormatError);
    await expect(
      buffer(
        Readable.from([changed], { objectMode: false })
          .pipe(cipher.openStream())
          .on('error', () => undefined),
      ),
    ).rejects.toThrow(FormatError);
  });

  it('does not open with other passwords', async () => {
    const other = await openJobCipher(newCryptPasswords());
    expect(() => other.open(cipher.seal(Buffer.from('secret')))).toThrow(FormatError);
    expect(other.pathOfKey(cipher.keyOfPath('folder/file'))).not.toBe('folder/file');
  });

  it('is never sealed with an empty password', async () => {
    await expect(openJobCipher({ password: '', password2: 'salt' })).rejects.toThrow(FormatError);
    await expect(openJobCipher({ password: 'secret', password2: '' })).rejects.toThrow(FormatError);
  });
});

describe('the native and the portable code', () => {
  it('seal the same bytes, and open what the other one has sealed', () => {
    const native = loadNative();
    if (native === null) throw new Error('sodium-native has no build for this machine');
    fc.assert(
      fc.property(fc.constantFrom(1, 15, 16, 17, 63, 64, 65, BLOCK - 1, BLOCK), (size) => {
        const [message, nonce, key] = [randomBytes(size), randomBytes(24), randomBytes(32)];
        const sealed = [native, portable].map((box) => {
          const into = Buffer.alloc(size + TAG_BYTES);
          box.seal(into, message, nonce, key);
          return into;
        });
        expect(sealed[0]?.equals(sealed[1] as Buffer)).toBe(true);
        for (const [index, box] of [portable, native].entries()) {
          const opened = Buffer.alloc(size);
          expect(box.open(opened, sealed[index] as Buffer, nonce, key)).toBe(true);
          expect(opened.equals(message)).toBe(true);
          for (const at of [0, TAG_BYTES, size + TAG_BYTES - 1])
            expect(box.open(Buffer.alloc(size), flip(sealed[index] as Buffer, at), nonce, key)).toBe(false);
          expect(box.open(Buffer.alloc(size), sealed[index] as Buffer, nonce, randomBytes(32))).toBe(false);
        }
      }),
      { numRuns: 40 },
    );
  });

  /** Of NaCl's own tests (tests/secretbox.c). */
  it.each([['native'], ['portable']])('seal as NaCl does: %s', (which) => {
    const box = which === 'native' ? loadNative() : portable;
    const key = Buffer.from('1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389', 'hex');
    const nonce = Buffer.from('69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37', 'hex');
    const message = Buffer.from(
      'be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705',
      'hex',
    );
    const sealed = Buffer.alloc(message.length + TAG_BYTES);
    box?.seal(sealed, message, nonce, key);
    expect(sealed.toString('hex')).toBe(
      'f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5',
    );
  });
});

describe('a part of a sealed object', () => {
  it('is read through the blocks that hold it', async () => {
    const body = randomBytes(5 * BLOCK + 1_000);
    const bucket = new MemoryBucket();
    const store = bucket.connect();
    await store.put('file', cipher.seal(body));
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: body.length - 1 }), fc.nat({ max: 2 * BLOCK }), async (first, more) => {
        const part = await streamSealed(store, 'file', cipher, { first, last: first + more });
        expect((await buffer(part as Readable)).equals(body.subarray(first, first + more + 1))).toBe(true);
      }),
      { numRuns: 60 },
    );
    expect((await buffer((await streamSealed(store, 'file', cipher)) as Readable)).equals(body)).toBe(true);
    expect(await streamSealed(store, 'none', cipher)).toBeNull();
    expect(await streamSealed(store, 'none', cipher, { first: 3 * BLOCK, last: 4 * BLOCK })).toBeNull();
  });

  it('of an object that is none ends with an error', async () => {
    const store = new MemoryBucket().connect();
    await store.put('file', randomBytes(4 * BLOCK));
    await expect(streamSealed(store, 'file', cipher, { first: 2 * BLOCK, last: 2 * BLOCK })).rejects.toThrow(
      FormatError,
    );
    const whole = (await streamSealed(store, 'file', cipher)) as Readable;
    await expect(buffer(whole)).rejects.toThrow(FormatError);
  });
});

function flip(sealed: Buffer, at: number): Buffer {
  const changed = Buffer.from(sealed);
  changed[at] = (changed[at] as number) ^ 1;
  return changed;
}

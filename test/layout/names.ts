import fc from 'fast-check';

/** Characters on which a path mapping can go wrong, beside ordinary ones. */
const AWKWARD = [
  '.', '..', '\\', '\n', '\r', '\t', '\u0001', '\u001f', '\u007f', '‛', '␀', '␊', '␡', '．', '／', '＼',
  'F', 'f', '4', ' ', '-', '#', '"', "'", '%', 'é', 'e\u0301', '😀', '\ufffd', '\ue000', '日本',
]; // prettier-ignore

/** A file name as a source may hold it: any bytes but NUL and slash. */
export const nativeName: fc.Arbitrary<Buffer> = fc
  .array(
    fc.oneof(
      fc.constantFrom(...AWKWARD).map((text) => Buffer.from(text)),
      fc.integer({ min: 1, max: 255 }).map((byte) => Buffer.of(byte)),
    ),
    {
      minLength: 1,
      maxLength: 12,
    },
  )
  .map((parts) => Buffer.concat(parts))
  .filter((name) => !name.includes(0x2f) && !name.equals(Buffer.from('.')) && !name.equals(Buffer.from('..')));

export const asciiPath: fc.Arbitrary<string> = fc
  .array(fc.stringMatching(/^[a-d]{1,2}$/), { minLength: 1, maxLength: 3 })
  .map((segments) => segments.join('/'));

/** Names for the tests against real servers: each must come through exactly. */
export const NASTY_NAMES: readonly Buffer[] = [
  ...[
    'plain', 'with space', ' lead', 'trail ', 'a\nb', '\n', 'tab\t', '\r', 'del\u007f', '\u0001\u001f', 'back\\slash',
    'quote"d', "it's", '`cmd`', '$HOME', '--flag', '-lead', '#hash', '*', '?q', 'a:b', '%41', '+plus', '...', '.hidden',
    'é', 'e\u0301', '日本', '😀', '\ufffd', '\ue000', '‛', 'x‛', '‛‛', '‛FF', '‛␊', '‛＼', '‛．', '␊', '␀', '␡', '．', '．．',
    '．x', '／', '＼', '｡',
  ].map((text) => Buffer.from(text)),
  Buffer.of(0x61, 0xff, 0x62),
  Buffer.of(0xc3),
  Buffer.of(0xed, 0xa0, 0x80),
  Buffer.of(0xe2, 0x80),
  Buffer.concat([Buffer.from('‛'), Buffer.of(0xfe)]),
]; // prettier-ignore

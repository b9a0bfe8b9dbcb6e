/**
 * Order of two strings by the bytes of their UTF-8 form, which is the order of their code points. JavaScript's own `<` compares
 * UTF-16 units and puts everything beyond U+FFFF before U+E000…U+FFFF; an S3 listing and every other reader of the format do not.
 */
export function compareUtf8(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i += 1) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return byCodePoint(x) - byCodePoint(y);
  }
  return a.length - b.length;
}

/** Moves surrogates (0xD800…0xDFFF) behind the rest of the first plane, where their code points belong. */
function byCodePoint(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

/** Bytes of the UTF-8 form. */
export function utf8Length(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}

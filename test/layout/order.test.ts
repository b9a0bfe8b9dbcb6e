import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { compareUtf8, utf8Length } from '../../src/layout/order.ts';

const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '\u007f', 'é', '\ue000', '\uffff', '😀', '\u{10ffff}') });

describe('order of paths', () => {
  it('is the order of their UTF-8 bytes', () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
  });

  it('counts bytes, not UTF-16 units', () => {
    expect(utf8Length('é😀')).toBe(6);
  });
});

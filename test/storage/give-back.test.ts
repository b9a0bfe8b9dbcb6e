import { expect, it } from '@jest/globals';
import { giveBack } from '../../src/storage/give-back.ts';

it('memory that is given back is gone, for whoever else looks at it too; twice is no error', () => {
  const whole = Buffer.allocUnsafeSlow(1_000_000);
  const parts = [whole.subarray(0, 10), whole.subarray(10)];
  for (const part of parts) giveBack(part);
  expect([whole.length, ...parts.map(({ length }) => length)]).toEqual([0, 0, 0]);
  giveBack(whole);
});

it('memory of small buffers, which many share, stays', () => {
  const [one, other] = [Buffer.from('one'), Buffer.from('other')];
  giveBack(one);
  expect([one.toString(), other.toString()]).toEqual(['one', 'other']);
});

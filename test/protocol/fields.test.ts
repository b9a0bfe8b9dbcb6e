import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { clearable, Cursor, EmailList, flag, JobId, json, line, number } from '../../src/protocol/fields.ts';
import { times } from '../../src/protocol/times.ts';

const ok = (schema: z.ZodType, given: unknown): unknown => schema.parse(given);
const refused = (schema: z.ZodType, given: unknown): boolean => !schema.safeParse(given).success;

describe('fields of forms and of JSON', () => {
  it('are identifiers in one spelling', () => {
    const id = '01A20000-0000-7000-8000-000000000001';
    expect(ok(JobId, ` ${id} `)).toBe(id.toLowerCase());
    for (const given of ['', '1', 1, `${id}0`, "1' OR '1'='1", null, [id]]) expect(refused(JobId, given)).toBe(true);
    expect(ok(Cursor, undefined)).toBeUndefined();
  });

  it('are numbers, also as text', () => {
    const port = number({ min: 1, max: 65_535 });
    expect([ok(port, 22), ok(port, '22'), ok(port, ' 22 ')]).toEqual([22, 22, 22]);
    for (const given of ['', '0', 65_536, 1.5, '1.5', '1e3', '0x16', NaN, Infinity, true, null, '٢٢']) {
      expect(refused(port, given)).toBe(true);
    }
  });

  it('are checkboxes', () => {
    for (const given of [true, 1, '1', 'true', 'on', 'Yes']) expect(ok(flag(), given)).toBe(true);
    for (const given of [false, 0, '0', 'false', 'off', 'no', '']) expect(ok(flag(), given)).toBe(false);
    for (const given of [2, 'maybe', null, [], {}]) expect(refused(flag(), given)).toBe(true);
    expect(ok(clearable(flag()), '')).toBeNull();
  });

  it('are lines without anything that could end them', () => {
    const name = line({ min: 1, max: 10 });
    expect(ok(name, '  Łódź 😀 ')).toBe('Łódź 😀');
    for (const given of ['', '   ', 'a\nb', 'a\u0000', 'a\u2028b', 'a\u0085b', '\ud83d', 'x'.repeat(11), 5, null]) {
      expect(refused(name, given)).toBe(true);
    }
  });

  it('are JSON, or its text', () => {
    const schema = json(z.record(z.string(), z.unknown()));
    expect(ok(schema, '{"a":1}')).toEqual({ a: 1 });
    expect(ok(schema, { a: 1 })).toEqual({ a: 1 });
    for (const given of ['{', '[]', '1', 'null', '', undefined]) expect(refused(schema, given)).toBe(true);
  });

  it('are lists of addresses in every spelling', () => {
    const list = ['a@example.test', 'b@example.test'];
    for (const given of [
      list,
      JSON.stringify(list),
      'a@example.test, b@example.test',
      'a@example.test;b@example.test;',
    ]) {
      expect(ok(EmailList, given)).toEqual(list);
    }
    expect(ok(EmailList, '')).toEqual([]);
    for (const given of ['a', 'a@example.test,<b>', 'x@y.test\r\nBcc: z@y.test', 7]) {
      expect(refused(EmailList, given)).toBe(true);
    }
  });
});

describe('times', () => {
  it('leave as ISO text and as epoch milliseconds', () => {
    expect(times({ at: 1_700_000_000_123, never: null })).toEqual({
      at: '2023-11-14T22:13:20.123Z',
      at_epoch_ms: 1_700_000_000_123,
      never: null,
      never_epoch_ms: null,
    });
  });
});

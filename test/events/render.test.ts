import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import { catalogue as errors } from '../../src/errors/catalogue.ts';
import {
  catalogue,
  definitionOf,
  errorEvent,
  event,
  isIndispensable,
  publicMessageId,
  type MessageId,
} from '../../src/events/catalogue.ts';
import { endEvents } from '../../src/events/endings.ts';
import { renderEvent } from '../../src/events/render.ts';
import { formatBytes, formatDuration, formatPercent } from '../../src/events/units.ts';
import { terminalStatuses, type RunKind } from '../../src/runs/state.ts';

const viewer = { timezone: 'Europe/Berlin' };
const ids = Object.keys(catalogue) as MessageId[];

/** Parameters that hold what a program said. All others are names of the customer's own, which stay as they are. */
const foreign = new Set(['error', 'summary', 'hint', 'stage', 'mode', 'compression', 'message', 'fingerprint']);

/** Some value for every parameter of an event, with and without the optional ones. */
function sample(schema: z.ZodType, full: boolean, name = ''): unknown {
  if (schema instanceof z.ZodObject) {
    return Object.fromEntries(
      Object.entries(schema.shape as Record<string, z.ZodType>)
        .filter(([, inner]) => full || !(inner instanceof z.ZodOptional))
        .map(([name, inner]) => [name, sample(inner, full, name)]),
    );
  }
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodReadonly)
    return sample(schema.def.innerType as z.ZodType, full, name);
  if (schema instanceof z.ZodNullable) return full ? sample(schema.def.innerType as z.ZodType, full, name) : null;
  if (schema instanceof z.ZodArray) return [sample(schema.element as z.ZodType, full, name)];
  if (schema instanceof z.ZodEnum) return schema.options[0];
  if (schema instanceof z.ZodNumber) return 1_500_000;
  if (schema instanceof z.ZodBoolean) return full;
  if (schema instanceof z.ZodString) return foreign.has(name) ? 'kopia: rclone.exe said no' : 'a/name';
  throw new Error(`no sample for ${schema.type}`);
}

describe('every event', () => {
  it.each(ids)('%s is a sentence without placeholders and without names of engines', (id) => {
    const definition = definitionOf(id);
    for (const full of [true, false]) {
      const params = sample(definition?.params ?? z.object({}), full) as Record<string, unknown>;
      expect(definition?.params.safeParse(params).success).toBe(true);
      const text = renderEvent({ messageId: id, params }, viewer);
      expect(text).not.toMatch(/[{}]|undefined|NaN|\[object|null/);
      expect(text.length).toBeGreaterThan(5);
      expect(text).not.toMatch(/kopia|rclone/i);
    }
  });

  it.each(ids)('%s names only parameters that it has', (id) => {
    const definition = definitionOf(id);
    if (typeof definition?.text !== 'string') return;
    const known = Object.keys(definition.params.shape);
    for (const [, name = ''] of definition.text.matchAll(/\{([^:}]+)[:}]/g)) expect(known).toContain(name);
  });

  it('has an id and a code that fit their columns', () => {
    for (const id of ids) {
      expect(id).toMatch(/^[A-Z0-9_]{1,64}$/);
      expect(definitionOf(id)?.type.length).toBeLessThanOrEqual(32);
    }
  });

  it('is found only under its own name', () => {
    expect(definitionOf('toString')).toBeUndefined();
    expect(definitionOf('__proto__')).toBeUndefined();
  });
});

describe('the text of an event', () => {
  it('carries numbers with units', () => {
    const progress = event('PROGRESS_UPDATE', {
      files_done: 1_234,
      files_total: 20_000,
      pct: 12.345,
      bytes_done: 262_144_000,
      bytes_total: 2_147_483_648,
      speed_bps: 1_572_864,
      eta_seconds: 3_723,
    });
    expect(renderEvent(progress, viewer)).toBe(
      'Transferred 1,234 of 20,000 files (12.35%), 250.00 MiB/2.00 GiB at 1.50 MiB/s, ETA 1h 2m 3s.',
    );
    expect(renderEvent({ ...progress, params: { ...progress.params, eta_seconds: null } }, viewer)).toMatch(/ETA -\.$/);
    expect(renderEvent(progress, { timezone: 'UTC', locale: 'de' })).toContain('1.234 of 20.000 files (12,35%)');
  });

  it('shows times in the viewer’s zone', () => {
    const missed = event('CATCH_UP', { missed: 1, first_slot_at: 0, slot_at: Date.UTC(2026, 6, 1, 0, 30) });
    expect(renderEvent(missed, viewer)).toMatch(/Jul 1, 2026, 02:30 GMT\+2/);
    expect(renderEvent(missed, { timezone: 'UTC' })).toMatch(/Jul 1, 2026, 00:30 UTC/);
  });

  it('of an id that is not known is its message, scrubbed, or says that something came', () => {
    expect(renderEvent({ messageId: 'FROM_THE_FUTURE', params: {} }, viewer)).toBe('Update received.');
    expect(renderEvent({ messageId: 'X', params: { message: 'rclone.exe and KopiaServer\nare\tbusy' } }, viewer)).toBe(
      'backup engine and engineServer are busy',
    );
    expect(renderEvent({ messageId: 'X', params: { message: 'upload: context canceled' } }, viewer)).toBe(
      'Operation was cancelled.',
    );
    expect(renderEvent({ messageId: 'X', params: { message: 7 } }, viewer)).toBe('Update received.');
  });

  it('leaves the name of a parameter that is missing or of another kind', () => {
    expect(renderEvent({ messageId: 'SUMMARY_TOTAL', params: {} }, viewer)).toBe('Total transferred: {bytes_done}.');
    expect(renderEvent({ messageId: 'SUMMARY_TOTAL', params: { bytes_done: 'x' } }, viewer)).toContain('{bytes_done}');
    expect(renderEvent({ messageId: 'LISTED', params: { files: 'x' } }, viewer)).toBe('Update received.');
  });

  it('shortens long paths to their ends and identifiers to their beginning', () => {
    const path = `backups/${'middle/'.repeat(12)}2026/photos`;
    expect(renderEvent(event('RESTORE_STARTING', { target_path: path }), viewer)).toBe(
      'Restore to backups/…/2026/photos starting.',
    );
    expect(renderEvent(event('KOPIA_MANIFEST_RECORDED', { manifest_id: 'k'.repeat(32) }), viewer)).toBe(
      `Snapshot manifest recorded: ${'k'.repeat(16)}....`,
    );
  });

  it('keeps the names of customers’ files whole, with what would break a line made visible', () => {
    const carried = event('FILE_CARRIED', { path: 'rclone docs/a\nb\u001b[31m.txt', reason: 'FILE_VANISHED' });
    expect(renderEvent(carried, viewer)).toBe(
      'rclone docs/a␊b␛[31m.txt: it vanished after it was listed — its last version is kept.',
    );
  });

  it('names each of several files with what became of it', () => {
    const text = renderEvent(
      event('FILE_PROBLEMS', {
        problems: [
          { path: 'a', code: 'ERR_PERMISSION', outcome: 'failed' },
          { path: 'b', code: 'FILE_CHANGED_MEANWHILE', outcome: 'carried' },
          { path: 'c', code: 'SYMLINK_LOOP', outcome: 'skipped' },
          { path: 'd', code: 'SOMETHING_ELSE', outcome: 'skipped' },
        ],
        total: 4,
      }),
      viewer,
    );
    expect(text.split('\n')).toEqual([
      'a: access to it was refused — not in this backup.',
      'b: it changed while it was copied — its last version is kept.',
      'c: it is a link that leads to itself — left out.',
      'd: it could not be read — left out.',
    ]);
  });

  it('never throws, whatever lies in the row', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...ids),
        fc.dictionary(fc.string(), fc.anything()),
        fc.anything(),
        (id, params, extra) => {
          const names = Object.keys(definitionOf(id)?.params.shape ?? {});
          const given = { ...params, ...Object.fromEntries(names.map((name) => [name, extra])) };
          expect(typeof renderEvent({ messageId: id, params: given }, viewer)).toBe('string');
        },
      ),
    );
  });
});

describe('the end of a run', () => {
  it('is told for every kind and status by an event that is never dropped', () => {
    const kinds: RunKind[] = ['backup', 'restore', 'validation', 'drill', 'maintenance'];
    for (const kind of kinds) {
      for (const status of terminalStatuses) {
        const events = endEvents(kind, status, { code: 'ERR_TRANSFER', filesTransferred: 2, bytesTransferred: 2_048 });
        expect(events.every(isIndispensable)).toBe(true);
        expect(['summary', 'cancelled']).toContain(events.at(-1)?.type);
        for (const one of events) expect(renderEvent(one, viewer)).not.toMatch(/[{}]/);
      }
    }
  });

  it('says how much was copied', () => {
    const [end] = endEvents('backup', 'success', { filesTransferred: 1, bytesTransferred: 10, durationSeconds: 61 });
    expect(end && renderEvent(end, viewer)).toBe('Backup completed successfully. 1 file, 10 Bytes, in 1m 1s.');
  });

  it('of a failed run explains every error code', () => {
    for (const code of Object.keys(errors)) {
      expect(renderEvent(errorEvent(code), viewer)).toContain(errors[code as keyof typeof errors].what);
      expect(errorEvent(code)).toMatchObject({ code, level: 'error' });
    }
    expect(renderEvent(errorEvent('SOMETHING'), viewer)).toBe('Unexpected error — our team has been notified.');
  });
});

describe('units', () => {
  it('are binary, with two decimals', () => {
    expect(
      [0, 1, 2, 1_023, 1_024, 1_536, 1_048_575, 1_048_576, 1_125_899_906_842_624].map((n) => formatBytes(n)),
    ).toEqual([
      '0 Bytes',
      '1 Byte',
      '2 Bytes',
      '1023 Bytes',
      '1.00 KiB',
      '1.50 KiB',
      '1.00 MiB',
      '1.00 MiB',
      '1.00 PiB',
    ]);
    expect([formatBytes(-5), formatBytes(Number.NaN)]).toEqual(['0 Bytes', '0 Bytes']);
    expect([0, 59.6, 3_600, 90_061].map((n) => formatDuration(n))).toEqual(['0s', '1m 0s', '1h 0m 0s', '25h 1m 1s']);
    expect([formatPercent(101), formatPercent(-1)]).toEqual(['100.00%', '0.00%']);
  });
});

describe('what customers see of an event', () => {
  it('does not name the engine', () => {
    for (const id of ids) expect(publicMessageId(id)).not.toMatch(/kopia|rclone/i);
  });
});

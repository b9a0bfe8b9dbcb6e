import { describe, expect, it } from '@jest/globals';
import { eventRow } from '../../../src/http/pages/event-rows.ts';
import { pointRow, runRow } from '../../../src/http/pages/rows.ts';
import { runKindText, runPercent, runSays, runState } from '../../../src/http/pages/run-words.ts';
import { speedPlot } from '../../../src/http/pages/speed-plot.ts';
import { times } from '../../../src/protocol/times.ts';
import { anEvent, aProgress, aRun, at } from './samples.ts';

describe('the line that says what a run does', () => {
  it.each([
    [{ status: 'queued', phase: null, attempt: 0 }, 'Waiting for a free worker'],
    [{ status: 'queued', attempt: 1 }, 'Waiting to be tried again (attempt 2 of 3)'],
    [{ phase: 'listing', files_total: 12_840 }, 'Listing the source: 12,840 files so far'],
    [{ phase: 'comparing', files_total: 1 }, 'Comparing 1 file with the last restore point'],
    [{ files_done: 456, files_total: 1204, eta_seconds: 139 }, 'Copying 456 of 1,204 files, about 2 min 19 s left'],
    [{ kind: 'restore', files_done: 1, files_total: 2 }, 'Restoring 1 of 2 files'],
    [{ phase: 'committing' }, 'Writing the restore point'],
    [{ stopping: true }, 'Stopping…'],
    [{ stopping: true, cancel_forced: true }, 'Being stopped by force…'],
    [{ terminal: true, status: 'success' }, 'Backup complete: nothing had changed'],
    [
      { terminal: true, status: 'success', objects_transferred: 3, bytes_transferred: 2048 },
      'Backup complete: 3 files, 2.00 KiB copied',
    ],
    [{ terminal: true, status: 'cancelled', skipped: true }, 'Backup skipped'],
    [{ terminal: true, status: 'failed', kind: 'restore' }, 'Restore failed'],
  ] as const)('%j', (given, words) => {
    expect(runSays(aProgress(given))).toBe(words);
  });
});

describe('the bar of a run', () => {
  it('never shows 100 before the end, and nothing while the total is not known', () => {
    expect(runPercent(aProgress({ bytes_total: 1000, bytes_transferred: 1000 }))).toBe(99);
    expect(runPercent(aProgress({ bytes_total: 0 }))).toBeNull();
    expect(runPercent(aProgress({ phase: 'listing', bytes_total: 10, bytes_transferred: 5 }))).toBeNull();
    expect(runPercent(aProgress({ status: 'success', terminal: true }))).toBe(100);
  });

  it('begins again when a run is queued again', () => {
    expect(runPercent(aProgress({ status: 'queued', progress_pct: 42 }))).toBe(0);
  });
});

describe('a row of the list of runs', () => {
  it('tells a skipped slot from a cancelled run', () => {
    expect(runState({ status: 'cancelled', skipped: true }).word).toBe('Skipped');
    expect(runState({ status: 'cancelled', skipped: false }).word).toBe('Cancelled');
  });

  it('has no figures for a run that never started', () => {
    const run = aRun({ status: 'cancelled', ...times({ started_at: null }) });
    expect(runRow(run)).toMatchObject({ files: null, bytes: null, at: run.created_at_epoch_ms });
  });

  it('says why a run was started', () => {
    expect(runKindText(aRun())).toBe('Backup, scheduled');
    expect(runKindText(aRun({ trigger_type: 'manual' }))).toBe('Backup, started by hand');
    expect(runKindText(aRun({ start_reason: 'catch_up' }))).toBe('Backup, catching up');
  });

  it('shows what a restore point lacks', () => {
    const point = {
      point_id: 'p',
      run_id: 'r',
      job_id: 'j',
      state: 'kept' as const,
      status: 'warning',
      complete: false,
      files: 10,
      carried: 3,
      failed: 1,
      bytes: 0,
      added_bytes: 0,
      pinned: false,
      ...times({ created_at: 0 }),
    };
    expect(pointRow(point).state).toEqual({ kind: 'warning', word: '3 files in an older version, 1 file missing' });
  });
});

describe('an event', () => {
  it('says what to do when its text does not', () => {
    const event = anEvent({ level: 'error', type: 'error', code: 'ERR_SFTP_AUTH', message: 'Refused.' });
    expect(eventRow(event)).toMatchObject({ icon: 'failed', word: 'Error', text: 'Refused.' });
    expect(eventRow(event).action).toMatch(/^Check user name/);
  });

  it('lists the files after the first below it', () => {
    const event = anEvent({ level: 'warn', type: 'warning', message: 'a: gone.\nb: gone.\nc: gone.' });
    expect(eventRow(event)).toMatchObject({ text: 'a: gone.', lines: ['b: gone.', 'c: gone.'] });
  });
});

describe('the plot of the speed', () => {
  const start = at('2025-11-22T10:00:00Z');
  const sample = (second: number, speed: number) =>
    anEvent({ type: 'progress', at: start + second * 1000, params: { speed_bps: speed } });

  it('is left out while there is too little to draw', () => {
    expect(speedPlot([], null)).toBeNull();
    expect(speedPlot([sample(0, 10)], null)).toBeNull();
    expect(speedPlot([sample(0, 0), sample(10, 0)], null)).toBeNull();
  });

  it('goes from edge to edge and names its highest value', () => {
    const plot = speedPlot([sample(0, 0), sample(5, 2048), sample(10, 1024)], null);
    expect(plot?.line).toBe('M0.0 80.0L300.0 3.0L600.0 41.5');
    expect(plot?.highest).toBe('Highest 2.00 KiB/s');
  });

  it('keeps its place while a run copies, with the speed now as its last sample', () => {
    expect(speedPlot([], { at: start, speed: 512 })).toMatchObject({ line: '', samples: `${start / 1000}:512` });
    const plot = speedPlot([sample(0, 1024)], { at: start + 10_000, speed: 2048 });
    expect(plot?.line).toBe('M0.0 41.5L600.0 3.0');
  });

  it('stays small for long runs', () => {
    const plot = speedPlot(
      Array.from({ length: 1000 }, (_, second) => sample(second * 2, 1000 + second)),
      null,
    );
    expect(plot?.line.split('L').length).toBeLessThanOrEqual(152);
  });
});

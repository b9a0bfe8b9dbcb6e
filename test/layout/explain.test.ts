import { describe, expect, it } from '@jest/globals';
import { explain, indexBucket, type DatabaseView, type PointView, type RunView } from '../../src/layout/explain.ts';
import { chunkKey, manifestKey, okKey, tombstoneKey } from '../../src/layout/keys.ts';
import { manifestsToProve, planReindex, type ReindexInput } from '../../src/layout/reindex.ts';
import type { Manifest } from '../../src/layout/types.ts';
import { manifestOf } from './samples.ts';

const runId = (n: number): string => `0190aaaa-0000-7000-8000-00000000000${n}`;
const [ME, OLD, GONE] = [runId(1), runId(2), runId(3)];
const [C1, C2, C3] = ['c1-00000001', 'c2-00000002', 'c3-00000003'];

const row = (run: string, more: Partial<RunView> = {}): RunView => ({
  run,
  claim: 2,
  terminal: true,
  hadPoint: true,
  ...more,
});
const point = (run: string, claim: string, more: Partial<PointView> = {}): PointView => ({
  point: `point of ${run}`,
  run,
  claim,
  generation: 1,
  state: 'kept',
  complete: true,
  manifestKey: manifestKey(run, claim),
  manifestSha256: '0'.repeat(64),
  ...more,
});
const database = (runs: RunView[], points: PointView[] = []): DatabaseView => ({
  runs: new Map(runs.map((view) => [view.run, view])),
  points,
});
const bucket = (manifestKeys: string[], claims: [string, string][] = []) =>
  indexBucket({
    manifestKeys,
    runFolders: claims.map(([run]) => run),
    claimFolders: claims.map(([run, claim]) => ({ run, claim })),
  });
const mine = row(ME, { claim: 2, terminal: false, hadPoint: false });
const calm = { rollForward: [], stale: [], adopt: [] };

describe('the index check at a claim', () => {
  it('finds nothing to say about a bucket that the database explains', () => {
    const seen = bucket(
      [manifestKey(OLD, C2), okKey(OLD, C2), chunkKey('a'.repeat(64), OLD, C1), 'manifests/notes.txt'],
      [
        [OLD, C1],
        [OLD, C2],
        [ME, C1],
      ],
    );
    expect(explain(ME, seen, database([mine, row(OLD)], [point(OLD, C2)]))).toEqual(calm);
  });

  it('offers whole manifests of this very run, highest claim first', () => {
    const seen = bucket([manifestKey(ME, C1), manifestKey(ME, C2), manifestKey(ME, C3), tombstoneKey(ME, C1)]);
    const explanation = explain(ME, seen, database([mine]));
    expect(explanation.rollForward).toEqual([C2]);
    expect(explanation.stale).toEqual([{ kind: 'higher_claim', run: ME, claim: C3 }]);
  });

  it('adopts manifests of terminal runs that never had a point, and no others', () => {
    const seen = bucket([manifestKey(OLD, C1), manifestKey(OLD, C2), manifestKey(GONE, C1)]);
    const adoptable = row(OLD, { hadPoint: false });
    expect(explain(ME, seen, database([mine, adoptable, row(GONE)]))).toEqual({
      ...calm,
      adopt: [{ run: OLD, claims: [C2, C1] }],
    });
    const active = row(OLD, { hadPoint: false, terminal: false });
    expect(explain(ME, seen, database([mine, active, row(GONE)]))).toEqual(calm);
  });

  it.each<[string, string[], [string, string][]]>([
    ['a manifest', [manifestKey(GONE, C1)], []],
    ['a chunk', [chunkKey('a'.repeat(64), GONE, C1)], []],
    ['a tombstone', [tombstoneKey(GONE, C1)], []],
    ['a folder', [], [[GONE, C1]]],
  ])('is stale when the database does not know the run of %s', (_, keys, folders) => {
    expect(explain(ME, bucket(keys, folders), database([mine])).stale).toEqual([{ kind: 'unknown_run', run: GONE }]);
  });

  it('is stale at a claim above the one the database knows, a folder being enough', () => {
    const seen = bucket([], [[OLD, C3]]);
    expect(explain(ME, seen, database([mine, row(OLD)])).stale).toEqual([
      { kind: 'higher_claim', run: OLD, claim: C3 },
    ]);
  });

  it.each(['kept', 'marked'] as const)('is stale when a %s point has no manifest', (state) => {
    const view = database([mine, row(OLD)], [point(OLD, C1, { state })]);
    expect(explain(ME, bucket([], [[OLD, C1]]), view).stale).toEqual([
      { kind: 'point_without_manifest', run: OLD, claim: C1 },
    ]);
  });

  it('is stale at a tombstone on a kept point, not on one that is marked or being deleted', () => {
    const seen = bucket([manifestKey(OLD, C1), tombstoneKey(OLD, C1)]);
    const stateOf = (state: PointView['state']) =>
      explain(ME, seen, database([mine, row(OLD)], [point(OLD, C1, { state })]));
    expect(stateOf('kept').stale).toEqual([{ kind: 'tombstone_on_kept_point', run: OLD, claim: C1 }]);
    expect(stateOf('marked')).toEqual(calm);
    expect(stateOf('deleting')).toEqual(calm);
  });
});

describe('planning a reindex', () => {
  const manifest = (run: string, claim: string, more: Partial<Manifest> = {}): Manifest => ({
    ...manifestOf({ run, claim }),
    key_id: '0123abcd',
    mac: '0'.repeat(64),
    ...more,
  });
  const read = (...all: Manifest[]): ReindexInput['manifests'] =>
    new Map(all.map((one) => [manifestKey(one.run, one.claim), { manifest: one, sha256: 'f'.repeat(64) }]));
  const plan = (input: Partial<ReindexInput> & Pick<ReindexInput, 'bucket'>) =>
    planReindex({
      manifests: new Map(),
      whole: new Set(),
      database: database([]),
      job: { generation: 0, frozen: false },
      ...input,
    });

  it('finds every point again when the database is empty', () => {
    const seen = bucket([manifestKey(OLD, C2), okKey(OLD, C2), manifestKey(ME, C1)], [[GONE, C3]]);
    const manifests = read(
      manifest(OLD, C2, { generation: 4 }),
      manifest(ME, C1, { generation: 9, frozen: true, complete: false }),
    );
    const result = plan({ bucket: seen, manifests, whole: new Set([manifestKey(ME, C1)]) });
    expect(result.points.map((p) => [p.key, p.state, p.known])).toEqual([
      [manifestKey(OLD, C2), 'kept', null],
      [manifestKey(ME, C1), 'kept', null],
    ]);
    expect(result.runs).toEqual([
      { run: GONE, claim: 3, generation: null, status: 'failed', exists: false },
      { run: OLD, claim: 2, generation: 4, status: 'success', exists: false },
      { run: ME, claim: 1, generation: 9, status: 'warning', exists: false },
    ]);
    expect(result).toMatchObject({ generation: 9, frozen: true, lost: [], deleting: [], unusable: [] });
  });

  it('takes the committed manifest of a run, and without one the highest that is whole', () => {
    const keys = [manifestKey(OLD, C1), manifestKey(OLD, C2), manifestKey(OLD, C3)];
    const manifests = read(manifest(OLD, C1), manifest(OLD, C2), manifest(OLD, C3));
    const chosen = (more: string[], whole: string[]) =>
      plan({ bucket: bucket([...keys, ...more]), manifests, whole: new Set(whole) }).points.map(
        (p) => p.manifest.claim,
      );
    expect(chosen([okKey(OLD, C1)], keys)).toEqual([C1]);
    expect(chosen([], keys.slice(0, 2))).toEqual([C2]);
    expect(chosen([], [])).toEqual([]);
    expect(chosen([okKey(OLD, C1), tombstoneKey(OLD, C1)], keys.slice(0, 2))).toEqual([C2]);
  });

  it('takes no manifest of a run that is over and never had a point when its base is gone, or is going', () => {
    const base = manifest(OLD, C1);
    const parent = { key: manifestKey(OLD, C1), sha256: 'f'.repeat(64) };
    const late = manifest(ME, C2, { parent });
    const whole = new Set([manifestKey(ME, C2), manifestKey(OLD, C1)]);
    const over = [row(ME, { hadPoint: false }), row(OLD)];
    const taken = (keys: string[], known: ReindexInput['database'], manifests = read(base, late)): boolean =>
      plan({ bucket: bucket([manifestKey(ME, C2), ...keys]), manifests, whole, database: known }).points.some(
        (one) => one.manifest.run === ME,
      );
    expect(taken([manifestKey(OLD, C1)], database(over))).toBe(true);
    expect(taken([], database(over), read(late))).toBe(false);
    expect(taken([manifestKey(OLD, C1), tombstoneKey(OLD, C1)], database(over))).toBe(false);
    expect(taken([manifestKey(OLD, C1)], database(over, [point(OLD, C1, { state: 'deleting' })]))).toBe(false);
    // A committed one is beyond doubt, and so is one of a run that the database does not know to be over.
    expect(taken([okKey(ME, C2)], database(over), read(late))).toBe(true);
    expect(taken([], database([mine]), read(late))).toBe(true);
    expect(taken([], database([]), read(late))).toBe(true);
  });

  it('tells of a committed manifest that cannot be used, and takes the next best', () => {
    const result = plan({
      bucket: bucket([manifestKey(OLD, C1), manifestKey(OLD, C2), okKey(OLD, C2)]),
      manifests: read(manifest(OLD, C1)),
      whole: new Set([manifestKey(OLD, C1)]),
    });
    expect(result.points.map((p) => p.manifest.claim)).toEqual([C1]);
    expect(result.unusable).toEqual([manifestKey(OLD, C2)]);
  });

  it('honours tombstones, drops points without manifest, and keeps the state of the others', () => {
    const points = [
      point(OLD, C1, { state: 'marked' }),
      point(GONE, C1),
      point(ME, C1),
      point(runId(4), C1, { state: 'deleting' }),
    ];
    const result = plan({
      bucket: bucket([manifestKey(OLD, C1), okKey(OLD, C1), manifestKey(GONE, C1), tombstoneKey(GONE, C1)]),
      manifests: read(manifest(OLD, C1), manifest(GONE, C1)),
      database: database([], points),
    });
    expect(result.points.map((p) => [p.known, p.state])).toEqual([[`point of ${OLD}`, 'marked']]);
    expect(result.deleting).toEqual([`point of ${GONE}`]);
    expect(result.lost).toEqual([`point of ${ME}`]);
  });

  it('never lowers a counter', () => {
    const result = plan({
      bucket: bucket([manifestKey(OLD, C1), okKey(OLD, C1)]),
      manifests: read(manifest(OLD, C1, { generation: 4 })),
      database: database([row(OLD, { claim: 5 })]),
      job: { generation: 6, frozen: true },
    });
    expect(result.runs[0]).toMatchObject({ claim: 5, exists: true });
    expect(result).toMatchObject({ generation: 6, frozen: true });
  });

  it('asks for the proof of every manifest without a tombstone', () => {
    const seen = bucket([
      manifestKey(OLD, C1),
      manifestKey(OLD, C2),
      tombstoneKey(OLD, C2),
      chunkKey('a'.repeat(64), ME, C1),
    ]);
    expect(manifestsToProve(seen)).toEqual([manifestKey(OLD, C1)]);
  });
});

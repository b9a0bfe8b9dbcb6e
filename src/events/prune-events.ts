import { z } from 'zod';
import { define } from './define.ts';

const count = z.number().nonnegative();
const none = z.object({});

/** What maintenance tells about restore points that are removed; emitted by src/backup/prune.ts. */
export const pruneEvents = {
  PRUNE_PLANNED: define('info', 'info', z.object({ points: count, in_use: count, spared: count }), (p, show) =>
    [
      `${show.many(p.points, 'restore point')} ${p.points === 1 ? 'is' : 'are'} removed.`,
      ...(p.in_use > 0 ? [`${show.count(p.in_use)} more would be, but ${p.in_use === 1 ? 'is' : 'are'} in use.`] : []),
      ...(p.spared > 0 ? [`${show.count(p.spared)} that should have gone ${p.spared === 1 ? 'stays' : 'stay'}.`] : []),
    ].join(' '),
  ),
  POINT_PRUNED: define(
    'info',
    'info',
    z.object({ run: z.string().max(128), generation: count, objects: count, bytes: count }),
    (p, show) =>
      `A restore point was removed: ${show.many(p.objects, 'object')}, ${show.bytes(p.bytes)}. What other points need stayed.`,
  ),
  LEFTOVERS_SWEPT: define('info', 'info', z.object({ objects: count, bytes: count, uploads: count }), (p, show) =>
    [
      `Left-overs of runs that ended early were removed: ${show.many(p.objects, 'object')}, ${show.bytes(p.bytes)}`,
      ...(p.uploads > 0 ? [`, and ${show.many(p.uploads, 'unfinished upload')}`] : []),
      '.',
    ].join(''),
  ),
  PRUNE_VERSIONED: define(
    'info',
    'info',
    none,
    'The bucket keeps old versions, so the space comes back when those expire.',
  ),
  DATA_DELETED: define(
    'info',
    'info',
    z.object({ objects: count, bytes: count, foreign: count }),
    (p, show) =>
      `The job’s data was deleted: ${show.many(p.objects, 'object')}, ${show.bytes(p.bytes)}.` +
      (p.foreign > 0 ? ` ${show.many(p.foreign, 'object')} in the folder did not come from us and stayed.` : ''),
  ),
};

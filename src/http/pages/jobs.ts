import { z } from 'zod';
import type { ClientServices } from '../../jobs/client.ts';
import type { JobCard } from '../../protocol/job.ts';
import { formatBytes } from '../format.ts';
import { page, view } from '../page.ts';
import { jobModel, type JobModel } from './job-model.ts';
import { safetyOrder } from './safety.ts';
import { counted } from './words.ts';

const filters = {
  attention: { label: 'Needs attention', test: (job: JobModel) => needsAttention(job) },
  protected: { label: 'Protected', test: (job: JobModel) => job.safety.kind === 'good' },
  running: { label: 'Running', test: (job: JobModel) => job.active !== null },
  paused: { label: 'Paused', test: (job: JobModel) => job.paused },
} as const;
type FilterName = keyof typeof filters;

/** All jobs of the client, the worst first; search and filter stand in the address. */
export const jobsPage = page({
  path: '/jobs',
  caller: 'client',
  navigation: 'Jobs',
  query: z.object({
    q: z.string().trim().max(200).default(''),
    status: z.enum(['attention', 'protected', 'running', 'paused']).optional(),
  }),
  handle: async ({ client, query, request }) => {
    const [every, deleted, service] = await Promise.all([
      everyJob(client),
      client.retention.deleted({ limit: 1 }),
      client.serviceState(),
    ]);
    const all = every.map((job) => jobModel(job, request.now, request.timezone));
    const found = all.filter((job) => matches(job, query.q)).sort(byWorst);
    const jobs = query.status === undefined ? found : found.filter(filters[query.status].test);
    return view('pages/jobs.njk', {
      total: all.length,
      summary: summaryOf(all),
      query: { q: query.q, status: query.status ?? '' },
      filters: filterLinks(found, query.q, query.status),
      jobs,
      deleted: deleted.rows.length > 0,
      service,
      live: all.some((job) => job.active !== null),
      here: address(query.q, query.status),
    });
  },
});

/** Enough for the largest customer: past it, the oldest jobs are shown. */
const MOST_JOBS = 1000;

async function everyJob(client: ClientServices): Promise<JobCard[]> {
  const jobs: JobCard[] = [];
  let cursor: string | undefined;
  do {
    const { rows, next } = await client.jobs.list({ cursor, limit: 200 });
    jobs.push(...rows);
    cursor = next ?? undefined;
  } while (cursor !== undefined && jobs.length < MOST_JOBS);
  return jobs;
}

function byWorst(one: JobModel, other: JobModel): number {
  const rank = (job: JobModel): number => safetyOrder.indexOf(job.safety.kind);
  return rank(one) - rank(other) || one.name.localeCompare(other.name, 'en');
}

function matches(job: JobModel, search: string): boolean {
  const text = `${job.name} ${job.route.kind} ${job.route.source} ${job.route.destination}`.toLowerCase();
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

function needsAttention(job: JobModel): boolean {
  return job.reauthorize !== null || ['failed', 'overdue', 'warning'].includes(job.safety.kind);
}

function summaryOf(jobs: readonly JobModel[]): string {
  const bad = jobs.filter(needsAttention).length;
  const stored = jobs.reduce((sum, job) => sum + job.stored, 0);
  if (jobs.length === 0) return '';
  const state =
    bad > 0
      ? `${bad} of ${counted(jobs.length, 'job')} ${bad === 1 ? 'needs' : 'need'} attention`
      : jobs.every((job) => job.safety.kind === 'good')
        ? `All ${counted(jobs.length, 'job')} protected`.replace('All 1 job', 'Your job is')
        : counted(jobs.length, 'job');
  return stored > 0 ? `${state}, ${formatBytes(stored)} stored` : state;
}

function filterLinks(jobs: readonly JobModel[], search: string, current: FilterName | undefined): object[] {
  const links = (Object.keys(filters) as FilterName[]).map((name) => ({
    label: filters[name].label,
    count: jobs.filter(filters[name].test).length,
    href: address(search, name),
    current: name === current,
  }));
  const shown = links.filter((link) => link.count > 0 || link.current);
  return [
    { label: 'All', count: jobs.length, href: address(search, undefined), current: current === undefined },
    ...shown,
  ];
}

function address(search: string, filter: FilterName | undefined): string {
  const query = new URLSearchParams();
  if (search !== '') query.set('q', search);
  if (filter !== undefined) query.set('status', filter);
  return query.size === 0 ? '/jobs' : `/jobs?${query}`;
}

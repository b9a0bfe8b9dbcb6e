import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { pages } from '../../src/http/pages/index.ts';
import { makeJob, makePoint, openPortal, type TestPortal } from './portal.ts';

let portal: TestPortal;
let job: string;
let run: string;
let point: string;

const EVIL = `"><script>alert(1)</script><img src=x onerror='alert(2)'>{{ base }}`;

beforeAll(async () => {
  portal = await openPortal();
  job = await makeJob(portal, 'ada', {
    name: EVIL,
    source_display_name: EVIL,
    source_path: `${EVIL.replaceAll('/', '')}`,
    // Every page of a job is there for an encrypted one.
    encryption_enabled: true,
  });
  ({ run, point } = await makePoint(portal, job));
  const { knex } = portal.database;
  await knex('s3_cloudbackup_runs').where('uuid', run).update({
    status: 'failed',
    error_code: 'ERR_TRANSFER',
    error_summary: EVIL,
    current_item: EVIL,
    worker_host: EVIL,
  });
  await knex('s3_cloudbackup_run_events').insert({
    run_id: ((await knex('s3_cloudbackup_runs').where('uuid', run).first('id')) as { id: number }).id,
    seq: 1,
    ts: '2026-01-01 00:00:00.000',
    type: 'error',
    level: 'error',
    code: EVIL.slice(0, 60),
    message_id: 'FROM_THE_FUTURE',
    params_json: JSON.stringify({ message: EVIL }),
  });
  await knex('tblclients').update({ firstname: EVIL });
});
afterAll(async () => await portal.close());

describe('names that are made of markup', () => {
  it.each(pages.map((page) => [page.path, page] as const))('stay names on %s', async (_path, page) => {
    const path =
      (page.caller === 'admin' ? '/admin' : '') +
      page.path.replace(':job_id', job).replace(':run_id', run).replace(':point_id', point);
    const response = await portal.as(page.caller === 'admin' ? 'admin' : 'ada').page(path);
    expect(response.status).toBe(200);
    expect(response.text).not.toContain('<script>alert');
    expect(response.text).not.toMatch(/<img src=x/);
    // Nothing inline would run anyway, but nothing inline is there either.
    expect(response.text).not.toMatch(/<script(?![^>]*\ssrc=)[^>]*>|\son\w+=["'](?!")|style="/);
  });
});

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { endpoints } from '../../api/index.ts';
import { tables } from '../../migrations/index.ts';
import { csrfTokenFor } from '../../src/http/guard.ts';
import { jobFields, makeJob, MOUNTED, openPortal, type TestPortal } from './portal.ts';

let portal: TestPortal;
let job: string;
beforeAll(async () => {
  portal = await openPortal({ trustedOrigins: ['https://also.example.com'] });
  job = await makeJob(portal);
});
afterAll(async () => await portal.close());

async function everything(): Promise<string> {
  const rows: Record<string, unknown> = {};
  for (const table of tables) rows[table] = await portal.database.knex(table).select('*');
  return JSON.stringify(rows);
}

const posts = endpoints.filter((endpoint) => endpoint.method === 'POST');
const gets = endpoints.filter((endpoint) => endpoint.method === 'GET');
const personOf = (endpoint: (typeof endpoints)[number]) => (endpoint.caller === 'admin' ? 'admin' : 'ada');

/** Would change something if it came through. */
const fieldsOf = (name: string): Record<string, unknown> =>
  name === 'cloudbackup_create_job' ? jobFields(portal) : { job_id: job, name: 'forged', default_notify_on_success: 1 };

interface Forgery {
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: string;
}

function forgeries(person: 'ada' | 'admin'): Record<string, Forgery> {
  const { token } = portal.as(person);
  const other = portal.as(person === 'ada' ? 'grace' : 'ada').token;
  const identity = { kind: 'client', clientId: portal.clientId('ada'), session: 'an older session' } as const;
  return {
    'no token': {},
    'an empty token': { token: '' },
    "somebody else's token": { token: other },
    'a token of an earlier sign-in': { token: csrfTokenFor(identity, portal.secrets) },
    'a token that was tampered with': { token: `${token.slice(0, -2)}AA` },
    'a request from another site': { token, headers: { 'Sec-Fetch-Site': 'cross-site' } },
    'a request from a sister site': { token, headers: { 'Sec-Fetch-Site': 'same-site' } },
    'a request of another origin': { token, headers: { Origin: 'https://evil.example.net' } },
    'a request without origin in a sandbox': { token, headers: { Origin: 'null' } },
  };
}

describe.each(posts.map((endpoint) => [endpoint.name, endpoint] as const))('%s', (name, endpoint) => {
  it('refuses what a page of the portal did not send', async () => {
    const before = await everything();
    for (const [what, { headers = {}, token }] of Object.entries(forgeries(personOf(endpoint)))) {
      const sent = request(portal.app)
        .post(`${MOUNTED}/api/${name}`)
        .set('x-test-person', personOf(endpoint))
        .set(headers)
        .type('form');
      const response = await (token === undefined ? sent : sent.set('X-CSRF-Token', token)).send(fieldsOf(name));
      expect({ what, status: response.status, code: (response.body as { code: string }).code }).toEqual({
        what,
        status: 403,
        code: 'CSRF_INVALID',
      });
    }
    expect(await everything()).toBe(before);
  });

  it('does not take its token from the address, and does nothing by GET', async () => {
    const before = await everything();
    const { token } = portal.as(personOf(endpoint));
    const who = personOf(endpoint);
    const inQuery = await request(portal.app)
      .post(`${MOUNTED}/api/${name}`)
      .query({ token, ...fieldsOf(name) })
      .set('x-test-person', who);
    expect(inQuery.status).toBe(403);
    for (const method of ['get', 'put', 'delete', 'patch', 'options'] as const) {
      const browser = request(portal.app);
      const response = await browser[method](`${MOUNTED}/api/${name}`)
        .query(fieldsOf(name) as Record<string, string>)
        .set('x-test-person', who)
        .set('X-CSRF-Token', token);
      expect(response.status).toBe(405);
      expect(response.headers['allow']).toBe('POST');
    }
    expect(await everything()).toBe(before);
  });

  it('lets a page of the portal through, with the token in a header or in a field', async () => {
    const { token } = portal.as(personOf(endpoint));
    const send = (headers: Record<string, string>, fields: Record<string, unknown>) =>
      request(portal.app)
        .post(`${MOUNTED}/api/${name}`)
        .set('x-test-person', personOf(endpoint))
        .set(headers)
        .type('form')
        .send(fields);
    for (const response of [
      await send({ 'X-CSRF-Token': token, 'Sec-Fetch-Site': 'same-origin' }, {}),
      await send({ 'X-CSRF-Token': token, Origin: 'http://portal.example.test', Host: 'portal.example.test' }, {}),
      await send({ Origin: 'https://also.example.com' }, { token }),
    ]) {
      expect((response.body as { code?: string }).code).not.toBe('CSRF_INVALID');
    }
  });
});

describe.each(gets.map((endpoint) => [endpoint.name, endpoint] as const))('%s', (name, endpoint) => {
  it('answers GET only, and changes nothing', async () => {
    const before = await everything();
    const response = await portal.as(personOf(endpoint)).post(name, { job_id: job });
    expect(response.status).toBe(405);
    // Nobody prepares a download only to throw it away.
    expect(response.headers['allow']).toBe(endpoint.open === undefined ? 'GET, HEAD' : 'GET');
    await portal.as(personOf(endpoint)).get(name, { job_id: job });
    expect(await everything()).toBe(before);
  });
});

describe('the token of a page', () => {
  it('is in its head, and works', async () => {
    const page = await portal.as('ada').page('/jobs');
    const token = /<meta name="csrf-token" content="([^"]+)">/.exec(page.text)?.[1] ?? '';
    const response = await request(portal.app)
      .post(`${MOUNTED}/api/cloudbackup_update_job`)
      .set('x-test-person', 'ada')
      .set('X-CSRF-Token', token)
      .send({ job_id: job, name: 'Renamed' });
    expect(response.status).toBe(200);
  });
});

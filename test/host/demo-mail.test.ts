// Slow (some ten seconds): a whole demo with a worker, whose job fails for real.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import request from 'supertest';
import { followRun } from '../../src/host/demo/jobs.ts';
import { ADA } from '../../src/host/demo/seed.ts';
import { startDemo, type Demo } from '../../src/host/demo/start.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'e3-demo-mail-'));
const { signal } = new AbortController();
let demo: Demo;

beforeAll(async () => {
  demo = await startDemo({ dataDir, port: 0, say: () => {}, signal });
}, 120_000);
afterAll(async () => {
  await demo.stop();
  rmSync(dataDir, { recursive: true, force: true });
}, 60_000);

it('shows the customer the mail about a backup that failed', async () => {
  const { client, jobs, portal, secrets } = demo;
  if (jobs.shop === null) throw new Error('the demo has no job');
  const { source } = await client.jobs.get(jobs.shop);
  await client.jobs.update(jobs.shop, {
    source_type: source.type,
    source_config: { ...source.config, secret_key: 'this-is-not-the-secret-key-of-anybody-00' },
  });
  const { runId } = await client.runs.start(jobs.shop);
  const run = await followRun(client, runId, { signal, onProgress: () => {} });
  expect([run.status, run.problem?.code]).toEqual(['failed', 'ERR_S3_AUTH']);

  const browser = request.agent(portal);
  await browser.post('/sign-in').type('form').send({ user: ADA, password: secrets.passwords.ada });
  let mailbox = '';
  for (const end = Date.now() + 60_000; Date.now() < end && !mailbox.includes('Failed'); await delay(200)) {
    mailbox = (await browser.get('/mailbox')).text;
  }
  expect(mailbox).toContain('Backup &quot;Online shop&quot;: Failed');
  const address = /href="(\/mailbox\/\d+)"/.exec(mailbox)?.[1] ?? '';
  const mail = (await browser.get(`${address}/html`)).text;
  expect(mail).toContain('Dear Ada Example');
  expect(mail).toContain('ada-backups/online-shop/');
  expect(mail).not.toContain('this-is-not-the-secret-key');
}, 120_000);

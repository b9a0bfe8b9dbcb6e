import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { v7 } from 'uuid';
import { claimCommand, completeCommand, type WorkerCommand } from '../../src/database/worker-commands.ts';
import { registerWorker, reportWorker } from '../../src/database/workers.ts';
import { TestConnectionPayload, TestConnectionResult } from '../../src/protocol/worker-commands.ts';
import { emptyTables } from '../database/both.ts';
import { jobFields, makeJob, openPortal, type TestPortal } from './portal.ts';

let portal: TestPortal;
beforeAll(async () => {
  portal = await openPortal({ connectionTestsPerMinute: 1000 });
});
beforeEach(async () => await emptyTables(portal.database));
afterAll(async () => await portal.close());

const ada = () => portal.as('ada');
const source = () => {
  const { source_type, source_config, source_path } = jobFields(portal);
  return { source_type, source_config, source_path };
};

async function startWorker(): Promise<string> {
  const uuid = v7();
  await registerWorker(portal.database, { uuid, hostname: 'w', version: '1', tools: {}, pid: 1, maxConcurrent: 1 });
  return uuid;
}

/** What a worker does with the next command. */
async function answerNext(
  answer: (payload: TestConnectionPayload) => Partial<TestConnectionResult> & { ok: boolean },
): Promise<WorkerCommand> {
  return await resultOfNext((payload) => TestConnectionResult.parse(answer(payload)));
}

async function resultOfNext(
  answer: (payload: TestConnectionPayload, type: string) => Record<string, unknown>,
): Promise<WorkerCommand> {
  for (;;) {
    const command = await claimCommand(portal.database, 10_000);
    if (command === null) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      continue;
    }
    const text = portal.secrets.open('command.payload', command.uuid, command.payloadEnc ?? '');
    const result = answer(TestConnectionPayload.parse(JSON.parse(text)), command.type);
    await completeCommand(portal.database, command, { ok: true, result });
    return command;
  }
}

describe('a connection test', () => {
  it('is carried out by a worker: the portal only leaves a sealed request', async () => {
    await startWorker();
    let seen: TestConnectionPayload | undefined;
    const [response, command] = await Promise.all([
      ada().post('cloudbackup_test_connection', source()),
      answerNext((payload) => {
        seen = payload;
        return { ok: true, sample: ['a.jpg', 'b/'] };
      }),
    ]);
    expect(response.body).toMatchObject({
      status: 'success',
      ok: true,
      problem: null,
      message: 'The source answers, and can be listed.',
      sample: ['a.jpg', 'b/'],
    });
    expect(seen).toMatchObject({ source_type: 's3_compatible', source_path: '2024', host_key: null });
    expect(seen?.source_config).toMatchObject({ secret_key: 'very secret' });
    expect(command.payloadEnc).toMatch(/^v2:/);
    const [row] = (await portal.database.knex('s3_cloudbackup_run_commands').select('*')) as Record<string, unknown>[];
    expect(row).toMatchObject({ status: 'completed', payload_enc: null, client_id: portal.clientId('ada') });
  });

  it('tells what is wrong in words, not as a failure of the request', async () => {
    await startWorker();
    const [response] = await Promise.all([
      ada().post('cloudbackup_test_connection', source()),
      answerNext(() => ({ ok: false, code: 'ERR_S3_AUTH' })),
    ]);
    expect(response.status).toBe(200);
    expect(response.body).toMatchObject({
      ok: false,
      problem: { code: 'ERR_S3_AUTH', what: 'The S3 server refused the access key or the secret key.' },
    });
  });

  it('takes blank secrets and the host key from the job', async () => {
    await startWorker();
    const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1';
    const config = { host: 'files.example.com', user: 'ada', pass: 'kept' };
    const job = await makeJob(portal, 'ada', { source_type: 'sftp', source_config: config, source_path: '/srv' });
    await portal.database.knex('s3_cloudbackup_jobs').where('uuid', job).update({ source_host_key: key });
    const seen: TestConnectionPayload[] = [];
    for (const fields of [{}, { source_config: { ...config, pass: '' }, sftp_path: '/srv/other' }]) {
      await Promise.all([
        ada().post('cloudbackup_test_connection', { job_id: job, ...fields }),
        answerNext((payload) => {
          seen.push(payload);
          return { ok: true, fingerprint: 'SHA256:abc' };
        }),
      ]);
    }
    expect(seen).toMatchObject([
      { source_config: { pass: 'kept' }, source_path: '/srv', host_key: key },
      { source_config: { pass: 'kept' }, source_path: '/srv/other', host_key: key },
    ]);
  });

  it('offers another host key that the server shows to be accepted', async () => {
    await startWorker();
    const config = { host: 'files.example.com', user: 'ada', pass: 'kept' };
    const job = await makeJob(portal, 'ada', { source_type: 'sftp', source_config: config, source_path: '/srv' });
    const pinned = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1';
    const shown = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2';
    await portal.database.knex('s3_cloudbackup_jobs').where('uuid', job).update({ source_host_key: pinned });
    const [response] = await Promise.all([
      ada().post('cloudbackup_test_connection', { job_id: job }),
      answerNext(() => ({ ok: false, code: 'ERR_SFTP_HOST_KEY_CHANGED', host_key: shown, fingerprint: 'SHA256:x' })),
    ]);
    expect(response.body).toMatchObject({ ok: false, host_key: 'SHA256:x' });
    const row: unknown = await portal.database.knex('s3_cloudbackup_jobs').where('uuid', job).first('*');
    expect(row).toMatchObject({ source_host_key: pinned, source_host_key_seen: shown });
  });

  it('says at once when no worker is there', async () => {
    const nobody = await ada().post('cloudbackup_test_connection', source());
    expect(nobody.status).toBe(503);
    expect(nobody.body).toMatchObject({ status: 'fail', code: 'NO_WORKER' });
    await reportWorker(portal.database, await startWorker(), 'stopped');
    expect((await ada().post('cloudbackup_test_connection', source())).body).toMatchObject({ code: 'NO_WORKER' });
    expect(await portal.database.knex('s3_cloudbackup_run_commands').select('id')).toEqual([]);
  });

  // The limit that is waited for is ten seconds.
  it('gives up after ten seconds and leaves no credentials behind', async () => {
    await startWorker();
    const started = performance.now();
    const response = await ada().post('cloudbackup_test_connection', source());
    expect(response.status).toBe(504);
    expect(response.body).toMatchObject({ code: 'COMMAND_TIMEOUT' });
    expect(performance.now() - started).toBeLessThan(12_000);
    const [row] = (await portal.database.knex('s3_cloudbackup_run_commands').select('*')) as Record<string, unknown>[];
    expect(row).toMatchObject({ status: 'expired', payload_enc: null });
  }, 30_000);
});

describe('hosts of sources', () => {
  it.each([
    { endpoint: 'http://127.0.0.1:9000' },
    { endpoint: 'http://169.254.169.254' },
    { endpoint: 'https://[::1]' },
    { endpoint: 'http://2130706433' },
    { endpoint: 'http://metadata.internal' },
    { endpoint: 'http://10.0.0.5' },
  ])('are refused when they are internal: %j', async (changes) => {
    const source_config = { ...(jobFields(portal)['source_config'] as object), ...changes };
    for (const name of ['cloudbackup_test_connection', 'cloudbackup_create_job']) {
      const response = await ada().post(name, { ...jobFields(portal), source_config });
      expect(response.status).toBe(422);
      expect(response.body).toMatchObject({ code: 'HOST_NOT_ALLOWED' });
    }
    const job = await makeJob(portal);
    const change = await ada().post('cloudbackup_update_job', { job_id: job, source_config });
    expect(change.body).toMatchObject({ code: 'HOST_NOT_ALLOWED' });
  });

  it('are refused when the name leads to an internal address, and let through when the operator allows them', async () => {
    const inside = await openPortal({ resolve: () => Promise.resolve(['93.184.215.14', '192.168.1.7']) });
    const allowing = await openPortal({ egressAllow: ['127.0.0.1:9000'] });
    try {
      const refused = await inside.as('ada').post('cloudbackup_create_job', jobFields(inside));
      expect(refused.body).toMatchObject({ code: 'HOST_NOT_ALLOWED' });
      const config = { ...(jobFields(portal)['source_config'] as object), endpoint: 'http://127.0.0.1:9000' };
      await makeJob(allowing, 'ada', { source_config: config });
      const other = jobFields(allowing, { source_config: { ...config, endpoint: 'http://127.0.0.1:9001' } });
      expect((await allowing.as('ada').post('cloudbackup_create_job', other)).body).toMatchObject({
        code: 'HOST_NOT_ALLOWED',
      });
    } finally {
      await inside.close();
      await allowing.close();
    }
  });
});

describe('characters that could leave their field', () => {
  const bad = ['\n', '\r', '\u0000', '\u001b', '\u007f', '\u0085', '\u2028'];

  it('are refused in every field of a source', async () => {
    const s3 = jobFields(portal)['source_config'] as Record<string, string>;
    const sftp = { host: 'files.example.com', user: 'ada', pass: 'secret', passphrase: 'x' };
    const tries: Record<string, unknown>[] = [];
    for (const character of bad) {
      const evil = `a${character}ssh = sh -c evil`;
      for (const field of Object.keys(s3)) tries.push({ source_config: { ...s3, [field]: evil } });
      for (const field of Object.keys(sftp)) {
        tries.push({ source_type: 'sftp', source_config: { ...sftp, [field]: evil } });
      }
      tries.push({ source_path: evil }, { source_display_name: evil }, { name: evil }, { dest_prefix: evil });
    }
    for (const fields of tries) {
      const response = await ada().post('cloudbackup_create_job', jobFields(portal, fields));
      expect({ fields, status: response.status }).toEqual({ fields, status: 422 });
    }
    expect(await portal.database.knex('s3_cloudbackup_jobs').select('id')).toEqual([]);
  }, 60_000);

  it('are refused in paths as parts that climb', async () => {
    for (const source_path of ['..', 'a/../b', '../../etc', './a']) {
      const response = await ada().post('cloudbackup_create_job', jobFields(portal, { source_path }));
      expect(response.body).toMatchObject({ code: 'INVALID_INPUT', fields: { source_path: expect.any(String) } });
    }
  });

  it('cannot come in as settings that no source has', async () => {
    const source_config = { ...(jobFields(portal)['source_config'] as object), key_file: '/etc/passwd', ssh: 'sh' };
    const response = await ada().post('cloudbackup_create_job', jobFields(portal, { source_config }));
    expect(response.status).toBe(422);
    expect(response.body).toMatchObject({ code: 'ERR_SOURCE_CONFIG', fields: { key_file: expect.any(String) } });
    for (const given of ['{', '[]', '"x"', 'null', '__proto__']) {
      const odd = await ada().post('cloudbackup_create_job', jobFields(portal, { source_config: given }));
      expect(odd.body).toMatchObject({ code: 'INVALID_INPUT', fields: { source_config: expect.any(String) } });
    }
  });
});

describe('the folder picker', () => {
  it('has a worker list one folder of the source', async () => {
    await startWorker();
    const folders = [{ name: 'in', path: '2025/in' }];
    let seen: [string, string] | undefined;
    const [response] = await Promise.all([
      ada().post('cloudbackup_browse_source', { ...source(), path: '2025' }),
      resultOfNext((payload, type) => {
        seen = [type, payload.source_path];
        return { code: null, folders, truncated: true };
      }),
    ]);
    expect(seen).toEqual(['browse_source', '2025']);
    expect(response.body).toMatchObject({ status: 'success', folders, truncated: true });
    expect(JSON.stringify(response.body)).not.toContain('very secret');
  });

  it.each([
    ['ERR_S3_AUTH', 422, 'ERR_S3_AUTH'],
    ['ERR_OF_A_NEWER_WORKER', 500, 'ERR_INTERNAL'],
  ])('answers what is wrong with the source as an error: %s', async (code, status, told) => {
    await startWorker();
    const [response] = await Promise.all([
      ada().post('cloudbackup_browse_source', source()),
      resultOfNext(() => ({ code })),
    ]);
    expect(response.status).toBe(status);
    expect(response.body).toMatchObject({ code: told });
  });

  it.each(['../up', 'a/../../b', 'line\nbreak'])('does not look at %j', async (path) => {
    await startWorker();
    const response = await ada().post('cloudbackup_browse_source', { ...source(), path });
    expect(response.body).toMatchObject({ code: 'INVALID_INPUT' });
    expect(await portal.database.knex('s3_cloudbackup_run_commands').select('*')).toEqual([]);
  });
});

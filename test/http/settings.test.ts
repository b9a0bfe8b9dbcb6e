import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { emptyTables } from '../database/both.ts';
import { makeJob, openPortal, type TestPortal } from './portal.ts';

let portal: TestPortal;
beforeAll(async () => {
  portal = await openPortal();
});
beforeEach(async () => await emptyTables(portal.database));
afterAll(async () => await portal.close());

const ada = () => portal.as('ada');
const settings = async () => (await ada().get('cloudbackup_get_settings')).body as { settings: object };

async function nextRun(job: string): Promise<string> {
  const row = (await portal.database.knex('s3_cloudbackup_jobs').where('uuid', job).first('next_run_at')) as {
    next_run_at: string;
  };
  return row.next_run_at.slice(11, 16);
}

describe('the settings of a customer', () => {
  it('change one by one, and are cleared by empty texts', async () => {
    const defaults = {
      default_notify_emails: [],
      default_notify_on_success: false,
      default_notify_on_warning: true,
      default_notify_on_failure: true,
      default_timezone: null,
    };
    expect(await settings()).toMatchObject({ settings: defaults });
    await ada().post('cloudbackup_update_settings', {
      default_notify_emails: 'a@example.test',
      default_timezone: 'Asia/Tokyo',
    });
    await ada().post('cloudbackup_update_settings', { default_notify_on_warning: 0 });
    expect(await settings()).toMatchObject({
      settings: {
        ...defaults,
        default_notify_emails: ['a@example.test'],
        default_notify_on_warning: false,
        default_timezone: 'Asia/Tokyo',
      },
    });
    await ada().post('cloudbackup_update_settings', { default_notify_emails: '', default_timezone: '' });
    expect(await settings()).toMatchObject({ settings: { default_notify_emails: [], default_timezone: null } });
    expect((await portal.as('grace').get('cloudbackup_get_settings')).body).toMatchObject({ settings: defaults });
  });

  it('cannot raise the limit that the operator has set', async () => {
    await ada().post('cloudbackup_update_settings', {
      per_client_max_concurrent_jobs: 99,
      default_notify_on_success: 1,
    });
    const row: unknown = await portal.database.knex('s3_cloudbackup_settings').first('*');
    expect(row).toMatchObject({ per_client_max_concurrent_jobs: null, default_notify_on_success: 1 });
  });

  it('refuse a zone that does not exist', async () => {
    const response = await ada().post('cloudbackup_update_settings', { default_timezone: 'Middle/Earth' });
    expect(response.body).toMatchObject({ code: 'INVALID_INPUT', fields: { default_timezone: expect.any(String) } });
  });

  it('move the next runs of jobs that follow the customer’s zone, and of no other job', async () => {
    const follows = await makeJob(portal);
    const own = await makeJob(portal, 'ada', { timezone: 'America/New_York' });
    const before = await nextRun(own);
    await ada().post('cloudbackup_update_settings', { default_timezone: 'Asia/Tokyo' });
    expect(await nextRun(follows)).toBe('17:30');
    expect(await nextRun(own)).toBe(before);
  });
});

import type { Database } from '../../src/database/connect.ts';
import { enqueueRunNotice } from '../../src/database/outbox.ts';
import { toDatabaseTime } from '../../src/database/times.ts';
import type { HostPort } from '../../src/host/port.ts';
import type { TerminalStatus } from '../../src/runs/state.ts';
import { insertJob, insertRun } from '../database/rows.ts';

type Mail = Parameters<HostPort['sendEmail']>[0];

/** A host with settings and a mail server, which takes mails or says why not. */
export interface Post {
  readonly mails: Mail[];
  readonly host: Pick<HostPort, 'settings' | 'client' | 'timezone' | 'sendEmail'>;
}

/** @param refuse what the mail server says to the first mails instead of taking them */
export function post(
  settings: Record<string, string> = { cloudbackup_email_template: '12' },
  refuse: string[] = [],
): Post {
  const mails: Mail[] = [];
  return {
    mails,
    host: {
      settings: () => Promise.resolve(new Map(Object.entries(settings))),
      client: (id) =>
        Promise.resolve(
          id === 99 ? null : { id, email: `owner-${id}@example.test`, firstName: 'Ada', lastName: 'Lovelace' },
        ),
      timezone: () => Promise.resolve('Europe/Berlin'),
      sendEmail: async (mail) => {
        const problem = refuse.shift();
        if (problem !== undefined) throw new Error(problem);
        mails.push(mail);
        await Promise.resolve();
      },
    },
  };
}

/** A run that is over, with its notice. */
export async function endedRun(
  database: Database,
  status: TerminalStatus,
  jobColumns: Record<string, unknown> = {},
  runColumns: Record<string, unknown> = {},
): Promise<{ runId: number; runUuid: string; jobUuid: string }> {
  const job = await insertJob(database, jobColumns);
  const run = await insertRun(database, job, { status, ...runColumns });
  await database.transaction(
    async (trx) =>
      await enqueueRunNotice(trx, database, {
        id: run.id,
        uuid: run.uuid,
        jobId: job.id,
        clientId: job.clientId,
        kind: 'backup',
        status,
      }),
  );
  return { runId: run.id, runUuid: run.uuid, jobUuid: job.uuid };
}

/** What a client wishes. */
export async function settings(database: Database, clientId: number, columns: Record<string, unknown>): Promise<void> {
  const now = toDatabaseTime(Date.now());
  await database
    .knex('s3_cloudbackup_settings')
    .insert({ client_id: clientId, created_at: now, updated_at: now, ...columns });
}

/** Of all notices, oldest first. */
export async function statuses(database: Database): Promise<string[]> {
  const rows = (await database.knex('s3_cloudbackup_outbox').orderBy('id').select('status')) as { status: string }[];
  return rows.map((row) => row.status);
}

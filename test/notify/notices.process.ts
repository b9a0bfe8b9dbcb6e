import { openDatabase, type DatabaseSettings } from '../../src/database/connect.ts';
import { sendNotices } from '../../src/notify/send.ts';

/** One notify process: sends what is due again and again, each mail being a row of its own, until it is killed or told to end. */
const [settings, once] = process.argv.slice(2) as [string, string | undefined];
const database = openDatabase(JSON.parse(settings) as DatabaseSettings);
const mails = openDatabase(JSON.parse(settings) as DatabaseSettings);
for (;;) {
  await sendNotices({
    database,
    host: {
      settings: () => Promise.resolve(new Map([['cloudbackup_email_template', '1']])),
      client: (id) => Promise.resolve({ id, email: `client-${id}@example.test`, firstName: 'A', lastName: 'B' }),
      timezone: () => Promise.resolve(null),
      sendEmail: async ({ mergeVars }) => {
        await mails.knex('test_mails').insert({ run: mergeVars['run_id'] });
      },
    },
  });
  if (once === 'once') break;
}
await mails.close();
await database.close();

/**
 * A portal with nothing in it but the built package, which is imported from dist/ as a host imports it. In JavaScript, because a
 * process that reads TypeScript is larger. Started by `fork` with a SQLite file and the client to show; says `{port}`.
 */
const [filename, clientId] = process.argv.slice(2);
const entry = new URL('../dist/src/index.js', import.meta.url);
/** @type {typeof import('../src/index.ts')} */
const { billingTables, createCloudBackup, openDatabase } = await import(entry.href);
const { default: express } = await import('express');

const database = openDatabase({ driver: 'sqlite', filename: filename ?? '' });
const backup = await createCloudBackup({
  database,
  host: billingTables({
    knex: database.knex,
    identify: () => ({ kind: 'client', clientId: Number(clientId), session: 'bench' }),
    sendEmail: async () => undefined,
  }),
});
const server = express()
  .use('/backup', backup.router)
  .listen(0, '127.0.0.1', () => process.send?.({ port: portOf() }));
process.on('disconnect', () => process.exit(0));

function portOf() {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

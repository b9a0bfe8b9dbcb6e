import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { v7 } from 'uuid';
import { ClientCommands } from '../../src/database/commands.ts';
import { claimCommand, completeCommand } from '../../src/database/worker-commands.ts';
import { createLog } from '../../src/log.ts';
import { Worker } from '../../src/worker/worker.ts';
import { openTestDatabase } from '../database/both.ts';

let opened: Awaited<ReturnType<typeof openTestDatabase>>;
beforeAll(async () => {
  opened = await openTestDatabase('sqlite');
});
afterAll(async () => await opened.release());

it('a client whose servers never answer keeps nobody else waiting', async () => {
  const { database } = opened.test;
  const leave = async (clientId: number): Promise<string> => {
    const uuid = v7();
    await new ClientCommands(database, clientId).leave({ uuid, type: 'x', payloadEnc: '', expiresInMs: 60_000 });
    return uuid;
  };
  const ofTheSlow = [await leave(1), await leave(1), await leave(1), await leave(1)];
  const ofOthers = [await leave(2), await leave(3)];

  const begun: string[] = [];
  let answer = (): void => undefined;
  const answered = new Promise<void>((resolve) => (answer = resolve));
  const all = Promise.withResolvers<void>();
  const worker = new Worker(
    database,
    {
      ...{ hostname: 'test', version: '1', tools: {}, engineVersion: 'x' },
      ...{ maxConcurrent: 1, pollMs: 20, leaseMs: 10_000, marginMs: 1_000 },
    },
    {
      execute: () => Promise.resolve(),
      async takeCommand() {
        const command = await claimCommand(database, 10_000);
        if (command === null) return null;
        begun.push(command.uuid);
        return async () => {
          if (command.clientId === 1) await answered;
          await completeCommand(database, command, { ok: true, result: {} });
          if (command.clientId === 3) all.resolve();
        };
      },
      recover: () => Promise.resolve(0),
      withdrawConnections: () => Promise.resolve(0),
      endLeftovers: () => Promise.resolve(),
      limits: () => Promise.resolve({ global: null, perClient: null }),
    },
    createLog({ level: 'error', silent: true }),
  );
  await worker.start();
  try {
    await all.promise;
    expect(begun).toEqual([ofTheSlow[0], ...ofOthers]);
  } finally {
    answer();
    await worker.stop();
  }
  // What was begun is brought to its end before the worker goes.
  const first = await new ClientCommands(database, 1).answer(ofTheSlow[0] ?? '');
  expect(first.status).toBe('completed');
});

import { setTimeout as delay } from 'node:timers/promises';
import { ClientCommands, type CommandAnswer } from '../database/commands.ts';
import { ClientJobs } from '../database/jobs.ts';
import { isAnyWorkerAlive } from '../database/workers.ts';
import { BackupError } from '../errors/backup-error.ts';
import { catalogue, type ErrorCode } from '../errors/catalogue.ts';
import type { BrowseSourceRequest, ConnectionRequest } from '../protocol/job-input.ts';
import type { ConnectionView } from '../protocol/job.ts';
import {
  BROWSE_SOURCE,
  BrowseSourceResult,
  COMMAND_TIMEOUT_MS,
  TEST_CONNECTION,
  TestConnectionResult,
  type TestConnectionPayload,
} from '../protocol/worker-commands.ts';
import type { ConnectionService } from './client.ts';
import { isHostKey } from '../sources/host-key.ts';
import type { ServiceParts } from './parts.ts';
import { sourceService } from './source.ts';
import { problemOf } from './views.ts';

/** A worker reports every few seconds; after this long without a sign nobody would pick the request up. */
const WORKER_SILENCE_MS = 30_000;
const LOOK_EVERY_MS = 150;

/** Connection tests and the folder picker: the portal checks the form and the address, a worker connects. */
export function connectionService(parts: ServiceParts, clientId: number): ConnectionService {
  const commands = new ClientCommands(parts.database, clientId);
  const jobs = new ClientJobs(parts.database, clientId);
  const sources = sourceService(parts, clientId);

  /** Looks until there is an answer. The payload is forgotten when nobody waits any more. */
  async function ask(type: string, payload: TestConnectionPayload): Promise<CommandAnswer> {
    const uuid = parts.newId();
    await commands.leave({
      uuid,
      type,
      payloadEnc: parts.secrets.seal('command.payload', uuid, JSON.stringify(payload)),
      expiresInMs: COMMAND_TIMEOUT_MS,
    });
    const deadline = performance.now() + COMMAND_TIMEOUT_MS;
    for (;;) {
      const answer = await commands.answer(uuid);
      if (answer.status === 'expired') throw new BackupError('COMMAND_TIMEOUT');
      if (answer.status !== 'pending' && answer.status !== 'processing') return answer;
      if (performance.now() >= deadline) {
        await commands.abandon(uuid);
        throw new BackupError('COMMAND_TIMEOUT');
      }
      await delay(LOOK_EVERY_MS);
    }
  }

  /** What a worker is told of the source that a form holds. */
  async function checked({ job_id: jobId, ...given }: ConnectionRequest) {
    const job = jobId === undefined ? null : await jobs.get(jobId);
    const source = job === null ? await sources.check(given) : await sources.checkWith(given, job);
    if (!(await isAnyWorkerAlive(parts.database, WORKER_SILENCE_MS))) throw new BackupError('NO_WORKER');
    const payload: TestConnectionPayload = {
      source_type: source.type,
      source_config: { ...source.config },
      source_path: source.path,
      host_key: job === null || source.otherServer ? null : job.source_host_key,
    };
    return { job, source, payload };
  }

  return {
    async test(request) {
      const { job, source, payload } = await checked(request);
      const found = resultOf(await ask(TEST_CONNECTION, payload));
      const isOther =
        found.code === 'ERR_SFTP_HOST_KEY_CHANGED' && found.host_key !== null && isHostKey(found.host_key);
      if (job !== null && !source.otherServer && isOther)
        await jobs.rememberSeenHostKey(job.uuid, found.host_key ?? '');
      return viewOf(found);
    },

    async browse({ path = '', source_path: _, ...request }: BrowseSourceRequest) {
      const { payload } = await checked({ ...request, source_path: path });
      const found = BrowseSourceResult.safeParse((await ask(BROWSE_SOURCE, payload)).result);
      if (!found.success) throw new BackupError('ERR_INTERNAL');
      const { code, folders, truncated } = found.data;
      if (code !== null) throw new BackupError(Object.hasOwn(catalogue, code) ? (code as ErrorCode) : 'ERR_INTERNAL');
      return { folders, truncated };
    },
  };
}

function resultOf(answer: CommandAnswer): TestConnectionResult {
  const result = TestConnectionResult.safeParse(answer.result);
  return result.success ? result.data : TestConnectionResult.parse({ ok: false, code: 'ERR_INTERNAL' });
}

function viewOf(found: TestConnectionResult): ConnectionView {
  const problem = found.ok ? null : problemOf(found.code ?? 'ERR_INTERNAL');
  return {
    ok: found.ok,
    problem,
    message: problem === null ? 'The source answers, and can be listed.' : `${problem.what} ${problem.action}`,
    host_key: found.fingerprint,
    sample: found.sample,
  };
}

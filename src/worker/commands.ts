import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { claimCommand, completeCommand, type WorkerCommand } from '../database/worker-commands.ts';
import { folderNames, sampleNames, type LookRequest } from '../engines/rclone/sample.ts';
import { BackupError, isBackupError } from '../errors/backup-error.ts';
import { describeError } from '../log.ts';
import {
  BROWSE_SOURCE,
  COMMAND_TIMEOUT_MS,
  MAX_FOLDERS,
  TEST_CONNECTION,
  TestConnectionPayload,
  type BrowseSourceResult,
  type TestConnectionResult,
} from '../protocol/worker-commands.ts';
import { fingerprintOf } from '../sources/host-key.ts';
import { parseSource } from '../sources/registry.ts';
import { checkHosts, reachable, showHostKey } from './open-source.ts';
import type { WorkerServices } from './services.ts';

/** Takes one waiting command, and answers with what carries it out; null: there was none. */
export function createCommandTaker(services: WorkerServices): () => Promise<(() => Promise<void>) | null> {
  return async () => {
    const command = await claimCommand(services.database, COMMAND_TIMEOUT_MS);
    if (command === null) return null;
    return async () => {
      const outcome = await carryOut(services, command);
      await completeCommand(services.database, command, outcome);
    };
  };
}

async function carryOut(
  services: WorkerServices,
  command: WorkerCommand,
): Promise<{ ok: boolean; result: Record<string, unknown> }> {
  try {
    const work = kinds.get(command.type);
    if (work === undefined) throw new BackupError('ERR_NOT_AVAILABLE');
    const payload = TestConnectionPayload.parse(
      JSON.parse(services.secrets.open('command.payload', command.uuid, command.payloadEnc ?? '')),
    );
    return { ok: true, result: await work(services, command.clientId, payload) };
  } catch (error) {
    services.log.error('a command failed', { command: command.uuid, type: command.type, error: describeError(error) });
    return { ok: false, result: { ok: false, code: isBackupError(error) ? error.code : 'ERR_INTERNAL' } };
  }
}

/** Shorter than the portal waits, so that what went wrong is told and not only that it took too long. */
const TEST_MS = 8_000;

/** Whatever is wrong with the source is a result, not an error. */
type CommandWork = (
  services: WorkerServices,
  clientId: number,
  payload: TestConnectionPayload,
) => Promise<TestConnectionResult | BrowseSourceResult>;

interface Shown {
  host_key: string | null;
  fingerprint: string | null;
}

/** Connects to a source and lists some names; writes nothing anywhere. */
const testConnection: CommandWork = async (services, clientId, payload) => {
  const shown: Shown = { host_key: null, fingerprint: null };
  const found = await lookAt(services, { clientId, payload, shown }, async (look) => ({
    sample: await sampleNames({ ...look, limit: 20 }),
  }));
  return { ok: found.code === null, sample: [], ...shown, ...found };
};

/** Lists the folders of one folder of a source. */
const browseSource: CommandWork = async (services, clientId, payload) => {
  const shown: Shown = { host_key: null, fingerprint: null };
  const found = await lookAt(services, { clientId, payload, shown }, async (look, base) => {
    const { names, truncated } = await folderNames({ ...look, limit: MAX_FOLDERS });
    const below = base === '' || base.endsWith('/') ? base : `${base}/`;
    return { folders: names.map((name) => ({ name, path: below + name })), truncated };
  });
  return { folders: [], truncated: false, ...found };
};

const kinds: ReadonlyMap<string, CommandWork> = new Map([
  [TEST_CONNECTION, testConnection],
  [BROWSE_SOURCE, browseSource],
]);

/** Opens a source for one look at it. @param shown takes the host key as soon as the server has shown it, also when it is refused */
async function lookAt<T>(
  services: WorkerServices,
  { clientId, payload, shown }: { clientId: number; payload: TestConnectionPayload; shown: Shown },
  work: (look: Omit<LookRequest, 'limit'>, path: string) => Promise<T>,
): Promise<({ code: null } & T) | { code: string }> {
  const signal = AbortSignal.timeout(TEST_MS);
  const cwd = mkdtempSync(join(services.config.rclone.run_dir, '.test-'));
  const endings: (() => Promise<void>)[] = [];
  try {
    const source = parseSource({ type: payload.source_type, config: payload.source_config, path: payload.source_path });
    const addresses = await checkHosts(services.egress, source);
    const atEnd = (ending: () => Promise<void>): void => void endings.push(ending);
    const definition = await reachable(services, clientId, source, addresses, { atEnd, folder: cwd });
    if (definition.backend === 'sftp') {
      shown.host_key = await showHostKey(source, addresses, signal, payload.host_key);
      shown.fingerprint = fingerprintOf(shown.host_key);
      if (payload.host_key !== null && payload.host_key !== shown.host_key)
        throw new BackupError('ERR_SFTP_HOST_KEY_CHANGED');
    }
    const look = { binary: services.rclone, definition, hostKey: shown.host_key, cwd, signal };
    return { code: null, ...(await work(look, source.path)) };
  } catch (error) {
    services.log.info('a look at a source failed', { error: describeError(error) });
    return { code: signal.aborted ? 'ERR_NETWORK' : isBackupError(error) ? error.code : 'ERR_INTERNAL' };
  } finally {
    for (const ending of endings) await ending();
    rmSync(cwd, { recursive: true, force: true });
  }
}

import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { claimCommand, completeCommand, type WorkerCommand } from '../database/worker-commands.ts';
import { sampleNames } from '../engines/rclone/sample.ts';
import { BackupError, isBackupError } from '../errors/backup-error.ts';
import { describeError } from '../log.ts';
import {
  COMMAND_TIMEOUT_MS,
  TEST_CONNECTION,
  TestConnectionPayload,
  type TestConnectionResult,
} from '../protocol/worker-commands.ts';
import { fingerprintOf } from '../sources/host-key.ts';
import { parseSource } from '../sources/registry.ts';
import { checkHosts, reachable, showHostKey } from './open-source.ts';
import type { WorkerServices } from './services.ts';

/** Takes one waiting command and carries it out; false: there was none. */
export function createCommandRunner(services: WorkerServices): () => Promise<boolean> {
  return async () => {
    const command = await claimCommand(services.database, COMMAND_TIMEOUT_MS);
    if (command === null) return false;
    const outcome = await carryOut(services, command);
    await completeCommand(services.database, command, outcome);
    return true;
  };
}

async function carryOut(
  services: WorkerServices,
  command: WorkerCommand,
): Promise<{ ok: boolean; result: Record<string, unknown> }> {
  try {
    if (command.type !== TEST_CONNECTION) throw new BackupError('ERR_NOT_AVAILABLE');
    const payload = TestConnectionPayload.parse(
      JSON.parse(services.secrets.open('command.payload', command.uuid, command.payloadEnc ?? '')),
    );
    return { ok: true, result: await testConnection(services, command.clientId, payload) };
  } catch (error) {
    services.log.error('a command failed', { command: command.uuid, type: command.type, error: describeError(error) });
    return { ok: false, result: { ok: false, code: isBackupError(error) ? error.code : 'ERR_INTERNAL' } };
  }
}

/** Shorter than the portal waits, so that what went wrong is told and not only that it took too long. */
const TEST_MS = 8_000;

/** Connects to a source and lists some names; writes nothing anywhere. Whatever is wrong with the source is a result, not an error. */
async function testConnection(
  services: WorkerServices,
  clientId: number,
  payload: TestConnectionPayload,
): Promise<TestConnectionResult> {
  const result = {
    ok: false,
    code: null as string | null,
    host_key: null as string | null,
    fingerprint: null as string | null,
    sample: [] as string[],
  };
  const signal = AbortSignal.timeout(TEST_MS);
  const folder = mkdtempSync(join(services.config.rclone.run_dir, '.test-'));
  const endings: (() => Promise<void>)[] = [];
  try {
    const source = parseSource({ type: payload.source_type, config: payload.source_config, path: payload.source_path });
    const addresses = await checkHosts(services.egress, source);
    const definition = await reachable(services, clientId, source, addresses, {
      atEnd: (work) => endings.push(work),
    });
    if (definition.backend === 'sftp') {
      result.host_key = await showHostKey(source, addresses, signal, payload.host_key);
      result.fingerprint = fingerprintOf(result.host_key);
      if (payload.host_key !== null && payload.host_key !== result.host_key)
        throw new BackupError('ERR_SFTP_HOST_KEY_CHANGED');
    }
    result.sample = await sampleNames({
      binary: services.rclone,
      definition,
      hostKey: result.host_key,
      cwd: folder,
      signal,
      limit: 20,
    });
    return { ...result, ok: true };
  } catch (error) {
    services.log.info('a connection test failed', { error: describeError(error) });
    return { ...result, code: signal.aborted ? 'ERR_NETWORK' : isBackupError(error) ? error.code : 'ERR_INTERNAL' };
  } finally {
    for (const work of endings) await work();
    rmSync(folder, { recursive: true, force: true });
  }
}

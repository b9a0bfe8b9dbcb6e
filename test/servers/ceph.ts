import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ensureBucket } from '../../src/storage/s3.ts';
import { freePort } from './ports.ts';
import type { S3Server } from './rclone-serve.ts';

export interface CephServer extends S3Server {
  /** Runs radosgw-admin with these arguments. */
  admin(...args: string[]): Promise<void>;
}

const START_LIMIT_MS = 120_000;
const execute = promisify(execFile);

/**
 * A whole Ceph on loopback with nothing on disk that stays: one monitor, one object daemon in memory, one RADOS gateway. Ready within
 * some seconds; needs no root.
 */
export async function startCeph(): Promise<CephServer> {
  const folder = mkdtempSync(join(tmpdir(), 'e3-ceph-'));
  const [accessKey, secretKey] = ['ceph-test-access', 'ceph-test-secret'];
  const [monitorPort, gatewayPort] = [await freePort(), await freePort()];
  const [fsid, osd] = [randomUUID(), randomUUID()];
  const config = join(folder, 'ceph.conf');
  writeFileSync(config, configuration({ folder, fsid, monitorPort, gatewayPort }));
  const children: ChildProcess[] = [];
  const start = (program: string, name: string): ChildProcess => {
    const child = spawn(program, ['-n', name, '-f', '-c', config], { stdio: 'ignore', cwd: folder });
    children.push(child);
    return child;
  };
  const once = async (program: string, ...args: string[]): Promise<void> =>
    void (await execute(program, ['-c', config, ...args], { cwd: folder, timeout: START_LIMIT_MS }));
  const admin = async (...args: string[]): Promise<void> => await once('radosgw-admin', '-n', 'client.rgw', ...args);
  const stop = async (): Promise<void> => {
    await Promise.all(children.map(ended));
    rmSync(folder, { recursive: true, force: true });
  };
  const endpoint = `http://127.0.0.1:${gatewayPort}`;
  const access: S3Server['access'] = (bucket) => ({
    endpoint,
    region: 'us-east-1',
    bucket,
    accessKey,
    secretKey,
    provider: 'Ceph',
  });
  try {
    const address = `[v2:127.0.0.1:${monitorPort}]`;
    await once('monmaptool', '--create', '--fsid', fsid, '--addv', 'a', address, join(folder, 'monmap'));
    await once('ceph-mon', '-i', 'a', '--mkfs', '--monmap', join(folder, 'monmap'));
    start('ceph-mon', 'mon.a');
    await once('ceph', 'osd', 'new', osd);
    mkdirSync(join(folder, 'osd'));
    await once('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', osd);
    start('ceph-osd', 'osd.0');
    const keys = [`--access-key=${accessKey}`, `--secret-key=${secretKey}`];
    await admin('user', 'create', '--uid=test', '--display-name=test', ...keys);
    const gateway = start('radosgw', 'client.rgw');
    // The gateway answers before the daemons behind it do: ready is what takes a bucket.
    for (const end = Date.now() + START_LIMIT_MS; ; await delay(100)) {
      const failure = await ensureBucket(access('readiness'), { attempts: 1 }).then(() => null, toCause);
      if (failure === null) break;
      if (gateway.exitCode !== null || Date.now() > end) throw failure;
    }
    return { endpoint, pid: gateway.pid ?? 0, access, admin, stop };
  } catch (error) {
    await stop();
    throw new Error('Ceph did not start', { cause: error });
  }
}

/** No signatures between the daemons, one copy of everything, and a monitor that decides at once instead of each second. */
function configuration(given: { folder: string; fsid: string; monitorPort: number; gatewayPort: number }): string {
  const { folder, fsid, monitorPort, gatewayPort } = given;
  return `[global]
fsid = ${fsid}
mon host = [v2:127.0.0.1:${monitorPort}]
public addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
ms bind msgr1 = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
paxos propose interval = 0.05
run dir = ${folder}
log file = ${folder}/$name.log
pid file =
[mon]
mon data = ${folder}/mon
[osd]
osd data = ${folder}/osd
osd objectstore = memstore
osd fast shutdown = false
[client.rgw]
ms mon client mode = crc
rgw data = ${folder}
rgw frontends = beast endpoint=127.0.0.1:${gatewayPort}
rgw thread pool size = 32
`;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exit;
}

function toCause(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Lease } from '../database/leases.ts';

/** What a worker leaves beside each run, so that its successor on the same machine can end what it left. */
const Owner = z.object({
  run_id: z.number(),
  run_uuid: z.string(),
  lease_token: z.string(),
  worker_pid: z.number(),
  worker_started: z.string(),
});

export interface RunFolder {
  readonly path: string;
  remove(): void;
}

/** A private folder (0700) for one claim: spilled listings, file lists, known hosts. Nothing in it outlives the run. */
export function createRunFolder(base: string, lease: Lease, claimName: string, self: ProcessMark): RunFolder {
  const path = join(base, `${lease.runUuid}.${claimName}`);
  // Named last: a folder under its final name always says whose it is.
  const unnamed = `${path}.new`;
  mkdirSync(unnamed, { recursive: true, mode: 0o700 });
  const owner = {
    run_id: lease.runId,
    run_uuid: lease.runUuid,
    lease_token: lease.token,
    worker_pid: self.pid,
    worker_started: self.started,
  };
  writeFileSync(join(unnamed, 'owner.json'), JSON.stringify(owner), { mode: 0o600 });
  renameSync(unnamed, path);
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** A process, told from a later one with the same pid by its start time. */
export interface ProcessMark {
  readonly pid: number;
  /** Start time in clock ticks since boot, as /proc tells it. */
  readonly started: string;
}

export function markOf(pid: number): ProcessMark | null {
  try {
    // Field 22 of stat; the command name before it may hold spaces and brackets.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return null;
    return { pid, started: fields[19] ?? '' };
  } catch {
    return null;
  }
}

export interface LeftFolder {
  readonly path: string;
  readonly lease: Lease | null;
}

/** Folders of workers of this machine that are not alive any more. Folders of living ones are left alone. */
export function leftFolders(base: string): LeftFolder[] {
  mkdirSync(base, { recursive: true, mode: 0o700 });
  const left: LeftFolder[] = [];
  for (const entry of readdirSync(base, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const path = join(base, entry.name);
    const owner = readOwner(path);
    if (owner === null && entry.name.endsWith('.new') && Date.now() - statSync(path).mtimeMs < 60_000) continue;
    if (owner !== null && markOf(owner.worker_pid)?.started === owner.worker_started) continue;
    left.push({
      path,
      lease: owner === null ? null : { runId: owner.run_id, runUuid: owner.run_uuid, token: owner.lease_token },
    });
  }
  return left;
}

function readOwner(path: string): z.infer<typeof Owner> | null {
  try {
    return Owner.parse(JSON.parse(readFileSync(join(path, 'owner.json'), 'utf8')));
  } catch {
    return null;
  }
}

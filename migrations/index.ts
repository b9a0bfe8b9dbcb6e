import type { Knex } from 'knex';
import * as m0001 from './0001_jobs_and_runs.ts';
import * as m0002 from './0002_restore_points.ts';
import * as m0003 from './0003_clients_and_notices.ts';
import * as m0004 from './0004_agents_and_drives.ts';
import * as m0005 from './0005_retention_and_proofs.ts';
import * as m0007 from './0007_oauth_states.ts';
import * as m0008 from './0008_ended_services.ts';

interface Step {
  readonly name: string;
  up(knex: Knex): Promise<void>;
  down(knex: Knex): Promise<void>;
}

/** In order; an entry is never edited, renamed or moved after a release. */
export const steps: readonly Step[] = [
  { name: '0001_jobs_and_runs', ...m0001 },
  { name: '0002_restore_points', ...m0002 },
  { name: '0003_clients_and_notices', ...m0003 },
  { name: '0004_agents_and_drives', ...m0004 },
  { name: '0005_retention_and_proofs', ...m0005 },
  { name: '0007_oauth_states', ...m0007 },
  { name: '0008_ended_services', ...m0008 },
];

/** All tables that these steps make. A table of one of these names that they did not make is somebody else's. */
export const tables: readonly string[] = [
  's3_cloudbackup_jobs',
  's3_cloudbackup_runs',
  's3_cloudbackup_run_events',
  's3_cloudbackup_run_logs',
  's3_cloudbackup_run_files',
  's3_cloudbackup_drills',
  's3_cloudbackup_run_commands',
  's3_cloudbackup_workers',
  's3_cloudbackup_gates',
  's3_cloudbackup_restore_points',
  's3_cloudbackup_holds',
  's3_cloudbackup_prefixes',
  's3_cloudbackup_keys',
  's3_cloudbackup_repositories',
  's3_cloudbackup_repository_keys',
  's3_cloudbackup_repo_operations',
  's3_cloudbackup_repo_locks',
  's3_cloudbackup_settings',
  's3_cloudbackup_sources',
  's3_cloudbackup_oauth_states',
  's3_cloudbackup_outbox',
  's3_cloudbackup_audit',
  's3_agent_enrollment_tokens',
  's3_cloudbackup_agents',
  's3_cloudbackup_agent_events',
  's3_cloudbackup_agent_destinations',
  's3_kopia_policy_versions',
  's3_kopia_repos',
  's3_kopia_repo_sources',
  's3_cloudnas_mounts',
  's3_cloudnas_settings',
];

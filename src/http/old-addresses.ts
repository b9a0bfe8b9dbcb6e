/**
 * Addresses of the portal's predecessors, `index.php?m=cloudstorage&page=cloudbackup&view=…` and
 * `addonmodules.php?module=cloudstorage&action=cloudbackup_admin`, and where the same is found here. Null: nothing of ours.
 */
export function formerAddress(file: string, query: Readonly<Record<string, unknown>>): FormerAddress | null {
  if (file === 'addonmodules.php') {
    const ours = query['module'] === 'cloudstorage' && query['action'] === 'cloudbackup_admin';
    return ours ? { area: 'admin', path: '/' } : null;
  }
  if (file !== 'index.php' || query['m'] !== 'cloudstorage' || query['page'] !== 'cloudbackup') return null;
  const job = identifier(query['job_id'] ?? query['job_uuid']);
  const run = identifier(query['run_id'] ?? query['run_uuid']);
  switch (query['view'] ?? 'cloudbackup_jobs') {
    case 'cloudbackup_jobs':
      return { area: 'client', path: '/jobs' };
    case 'cloudbackup_runs':
      return { area: 'client', path: job === null ? '/jobs' : `/jobs/${job}` };
    case 'cloudbackup_live':
      return { area: 'client', path: run === null ? '/jobs' : `/runs/${run}` };
    case 'cloudbackup_sources':
      return { area: 'client', path: '/sources' };
    case 'cloudbackup_settings':
      return { area: 'client', path: '/settings' };
    default:
      return null;
  }
}

export interface FormerAddress {
  readonly area: 'client' | 'admin';
  /** Below the area's base. */
  readonly path: string;
}

function identifier(given: unknown): string | null {
  return typeof given === 'string' && /^[0-9a-f-]{36}$/i.test(given) ? given.toLowerCase() : null;
}

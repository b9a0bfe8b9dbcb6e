import { stringify } from 'yaml';
import type { DataFolder } from './data-folder.ts';
import type { DemoSecrets } from './secrets.ts';

/** Writes the worker's configuration file and returns its path. The encryption key is not in it: that goes by environment. */
export function writeWorkerConfig(
  folder: DataFolder,
  secrets: DemoSecrets,
  given: { databaseFile: string; storageEndpoint: string; allowedHosts: readonly string[] },
): string {
  const text = stringify({
    database: { driver: 'sqlite', filename: given.databaseFile },
    worker: { hostname: 'demo-worker', poll_interval_seconds: 0.5, max_concurrent_jobs: 2 },
    rclone: { run_dir: folder.folder('runs') },
    destination: { endpoint: given.storageEndpoint, provider: 'Rclone' },
    installation: { name: secrets.installation },
    egress: { allow: [...given.allowedHosts] },
    logging: { level: 'info' },
  });
  folder.write('worker.yaml', `# Written anew at every start of the demo.\n${text}`);
  return folder.path('worker.yaml');
}

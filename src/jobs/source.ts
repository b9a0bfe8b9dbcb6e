import type { JobValues, StoredJob } from '../database/job-rows.ts';
import type { Place } from '../database/prefixes.ts';
import { ClientSources } from '../database/sources.ts';
import { BackupError, isBackupError } from '../errors/backup-error.ts';
import { invalidFields } from '../errors/invalid-fields.ts';
import type { ConnectionRequest } from '../protocol/job-input.ts';
import type { SourceView } from '../protocol/job.ts';
import { parseEndpoint } from '../security/egress.ts';
import { fingerprintOf } from '../sources/host-key.ts';
import {
  connectionOf,
  hostsOf,
  isDestination,
  isReadOnly,
  parseSource,
  publicConfig,
  readSource,
  sourceType,
  summaryOf,
} from '../sources/registry.ts';
import type { Source } from '../sources/source-type.ts';
import type { ServiceParts } from './parts.ts';

/** A source that has passed every check which needs no connection. */
export interface CheckedSource extends Source {
  /** Undefined: stays as it is. */
  readonly displayName: string | undefined;
  /** Row of the connected account by which it is reached; null: none is needed. */
  readonly connectionId: number | null;
  /** It lies on another server than what the job had before, or that is reached in another way. */
  readonly otherServer: boolean;
}

type Given = Omit<ConnectionRequest, 'job_id'>;

export interface SourceService {
  /** A whole source, of a job that does not exist yet. */
  check(given: Given): Promise<CheckedSource>;
  /** What a job's source becomes; null: nothing about it was given. */
  checkChanges(given: Given, job: StoredJob): Promise<CheckedSource | null>;
  /** As `checkChanges`, or what is stored when nothing was given. */
  checkWith(given: Given, job: StoredJob): Promise<CheckedSource>;
  /** @throws BackupError `SOURCE_IS_DESTINATION` */
  refuseDestination(source: Source, place: Place): Promise<void>;
  /** @throws BackupError `ERR_DECRYPT_SOURCE_CONFIG` */
  stored(job: StoredJob): Source;
  columns(
    source: CheckedSource,
    jobUuid: string,
  ): Required<Pick<JobValues, 'source_type' | 'source_path' | 'source_connection_id'>> &
    Pick<JobValues, 'source_display_name'> & { source_config_enc: string };
  /** For pages: never throws, what cannot be read is left out. */
  view(job: StoredJob): SourceView;
}

/** The sources of jobs: checked by the registry of types, guarded against internal addresses, sealed for their row. */
export function sourceService(parts: ServiceParts, clientId: number): SourceService {
  const connections = new ClientSources(parts.database, clientId);

  function stored(job: StoredJob): Source {
    let configJson: string;
    try {
      configJson = parts.secrets.open('job.source-config', job.uuid, job.source_config_enc);
    } catch (cause) {
      throw new BackupError('ERR_DECRYPT_SOURCE_CONFIG', undefined, { cause });
    }
    return readSource({ type: job.source_type, configJson, path: job.source_path });
  }

  /** Null where it cannot be read: entering everything again is the way out. */
  function storedOrNull(job: StoredJob): Source | null {
    try {
      return stored(job);
    } catch (error) {
      if (isBackupError(error, 'ERR_DECRYPT_SOURCE_CONFIG')) return null;
      throw error;
    }
  }

  async function guarded(source: Source): Promise<void> {
    for (const { host, port } of hostsOf(source)) await parts.egress.check(host, port);
  }

  /** The connection is the client's own, of the right service and not given up. @throws BackupError `SOURCE_NOT_FOUND`, `SOURCE_NOT_CONNECTED` */
  async function connected(source: Source): Promise<{ source: Source; connectionId: number | null }> {
    const wanted = connectionOf(source);
    if (wanted === null) return { source, connectionId: null };
    const { id, provider, status, accountEmail } = await connections.get(wanted.uuid);
    if (provider !== wanted.provider) throw new BackupError('SOURCE_NOT_FOUND');
    if (status === 'revoked') throw new BackupError('SOURCE_NOT_CONNECTED');
    return {
      source: { ...source, config: { ...source.config, account: accountEmail ?? undefined } },
      connectionId: id,
    };
  }

  async function checked(given: Given, type: string, before: Source | null, path: string): Promise<CheckedSource> {
    const stays = before !== null && before.type === type ? publicConfig(before).config : {};
    const named = given.source_connection_id ? { connection: given.source_connection_id } : {};
    const config = { ...(given.source_config ?? stays), ...named };
    const { source, connectionId } = await connected(parseSource({ type, config, path }, before));
    const otherServer = before !== null && serversOf(source) !== serversOf(before);
    if (otherServer) refuseKeptSecrets(source, config);
    await guarded(source);
    return { ...source, connectionId, displayName: given.source_display_name, otherServer };
  }

  async function checkChanges(given: Given, job: StoredJob): Promise<CheckedSource | null> {
    const path = pathOf(given, given.source_type ?? job.source_type);
    const touched = [
      given.source_type,
      given.source_config,
      given.source_connection_id ?? undefined,
      given.source_display_name,
      path,
    ];
    if (touched.every((value) => value === undefined)) return null;
    const before = storedOrNull(job);
    if (before === null && given.source_config === undefined) throw new BackupError('ERR_DECRYPT_SOURCE_CONFIG');
    return await checked(given, given.source_type ?? job.source_type, before, path ?? job.source_path);
  }

  return {
    stored,
    checkChanges,

    async check(given) {
      if (given.source_type === undefined) throw invalidFields([['source_type', 'is missing']]);
      return await checked(given, given.source_type, null, pathOf(given, given.source_type) ?? '');
    },

    async checkWith(given, job) {
      const changed = await checkChanges(given, job);
      if (changed !== null) return changed;
      const { source, connectionId } = await connected(stored(job));
      await guarded(source);
      return { ...source, connectionId, displayName: undefined, otherServer: false };
    },

    async refuseDestination(source, { bucketName, prefix }) {
      const settings = await parts.host.settings();
      for (const name of ['s3_endpoint', 'cloudbackup_agent_s3_endpoint']) {
        const endpoint = settings.get(name);
        if (endpoint === undefined || endpoint === '') continue;
        const { host, port } = parseEndpoint(endpoint);
        const destination = { server: `${host}:${port}`, bucket: bucketName, prefix };
        if (isDestination(source, destination)) throw new BackupError('SOURCE_IS_DESTINATION');
      }
    },

    columns: (source, jobUuid) => ({
      source_type: source.type,
      source_path: source.path,
      source_connection_id: source.connectionId,
      source_config_enc: parts.secrets.seal('job.source-config', jobUuid, JSON.stringify(source.config)),
      ...(source.displayName === undefined ? {} : { source_display_name: source.displayName }),
    }),

    view(job) {
      const source = storedOrNull(job);
      const shown = source === null ? { config: {}, secretsSet: [] } : publicConfig(source);
      const { source_host_key: pinned, source_host_key_seen: seen } = job;
      return {
        type: job.source_type,
        display_name: job.source_display_name,
        path: job.source_path,
        config: shown.config,
        secrets_set: Object.fromEntries(shown.secretsSet.map((name) => [name, true])),
        writable: source !== null && !isReadOnly(source),
        summary: source === null ? 'The stored settings cannot be read' : summaryOf(source),
        host_key: {
          pinned: pinned === null ? null : fingerprintOf(pinned),
          seen: seen === null ? null : fingerprintOf(seen),
        },
      };
    },
  };
}

function serversOf(source: Source): string {
  return JSON.stringify(hostsOf(source));
}

/**
 * A stored password is never sent to another server than the one it was entered for: whoever got hold of a sign-in could otherwise
 * have it sent to a server of his own, or to the same one without TLS. Regions of AWS are one server in this sense.
 */
function refuseKeptSecrets(source: Source, given: Readonly<Record<string, unknown>>): void {
  if (source.type === 'aws') return;
  const kept = sourceType(source.type).secrets.filter(
    (name) =>
      source.config[name] !== undefined && (given[name] === undefined || given[name] === null || given[name] === ''),
  );
  if (kept.length === 0) return;
  const problem = 'must be entered again, because the server or the way to it is another one';
  throw new BackupError('ERR_SOURCE_CONFIG', `${kept.join(', ')}: ${problem}.`, {
    details: { fields: Object.fromEntries(kept.map((name) => [name, problem])) },
  });
}

/** The path of the form's own field for the type, where a form has one for each. */
function pathOf(given: Given, type: string): string | undefined {
  if (given.source_path !== undefined) return given.source_path;
  switch (type) {
    case 's3_compatible':
      return given.s3_path;
    case 'aws':
      return given.aws_path;
    case 'sftp':
      return given.sftp_path;
    case 'google_drive':
      return given.gdrive_path;
    case 'dropbox':
      return given.dropbox_path;
    default:
      return undefined;
  }
}

import { Budget } from '../browse/budget.ts';
import { comparePoints } from '../browse/compare-points.ts';
import { openFolder } from '../browse/folder.ts';
import type { OpenPoint } from '../browse/open-point.ts';
import { searchPoint } from '../browse/search.ts';
import { fileVersions } from '../browse/versions.ts';
import { openJobCipher, type JobCipher } from '../crypt/job-cipher.ts';
import { ClientJobs } from '../database/jobs.ts';
import { ClientKeys } from '../database/keys.ts';
import { ReadablePoints, type ReadablePoint } from '../database/readable-points.ts';
import { BackupError } from '../errors/backup-error.ts';
import { invalidFields } from '../errors/invalid-fields.ts';
import { unwrapKeys } from '../security/crypt-keys.ts';
import { macKeysOf } from '../security/mac-keys.ts';
import { bucketAccess } from '../storage/destinations.ts';
import type { ObjectStore } from '../storage/port.ts';
import type { BrowseService } from './client.ts';
import { startDownload } from './point-download.ts';
import type { ServiceParts } from './parts.ts';
import { comparisonView, folderView, searchView, versionsView } from './browse-views.ts';

/** What one request may take; a page with less than it could have comes with a cursor. */
const LIMIT_MS = 2_500;

/** Looks into the restore points of one client. */
export function browseService(parts: ServiceParts, clientId: number): BrowseService {
  const points = new ReadablePoints(parts.database, clientId);
  const jobs = new ClientJobs(parts.database, clientId);
  const reader = new PointReader(parts, clientId);
  const budget = (): Budget => new Budget(LIMIT_MS);

  return {
    async pointAt(jobId, moment) {
      const point = await points.at(await jobs.rowId(jobId), moment);
      if (point === null) throw new BackupError('POINT_NOT_FOUND');
      return { pointId: point.uuid };
    },

    async folder({ pointId, folder, cursor, limit }) {
      const point = await reader.open(await points.get(pointId));
      return folderView(pointId, folder, await openFolder(point, folder, { cursor, limit, budget: budget() }));
    },

    async search({ pointId, text, folder, cursor, limit }) {
      const point = await reader.open(await points.get(pointId));
      return searchView(pointId, await searchPoint(point, text, { folder, cursor, limit, budget: budget() }));
    },

    async versions({ jobId, path, cursor, limit }) {
      const rows = await points.ofJob({ jobId: await jobs.rowId(jobId), before: cursor, limit: limit + 1 });
      const shown = rows.slice(0, limit);
      const opened = shown.map((point) => ({ id: point.uuid, open: async () => await reader.open(point) }));
      const found = await fileVersions(opened, path, budget());
      const [unreadable] = found.unreadable;
      if (unreadable !== undefined && found.unreadable.length === found.looked) throw unreadable.error;
      const more = found.looked < rows.length;
      return versionsView({
        jobId,
        path,
        points: shown,
        found,
        next: more ? shown[found.looked - 1]?.uuid : undefined,
      });
    },

    async compare({ pointId, otherId, folder, cursor, limit }) {
      const [after, before] = await Promise.all([points.get(pointId), points.get(otherId)]);
      if (after.jobUuid !== before.jobUuid) {
        throw invalidFields([['other_point_id', 'must be a restore point of the same job']]);
      }
      const [older, newer] = [await reader.open(before), await reader.open(after)];
      const found = await comparePoints(older, newer, { folder, cursor, limit, budget: budget() });
      return comparisonView({ pointId, otherId }, found);
    },

    async download(request) {
      const point = await points.get(request.pointId);
      return await startDownload({ parts, clientId, point, reader }, request);
    },
  };
}

/** Opens points of one client through its buckets. */
export class PointReader {
  readonly #parts: ServiceParts;
  readonly #clientId: number;
  /** Of this request. */
  readonly #stores = new Map<string, Promise<ObjectStore>>();
  readonly #ciphers = new Map<string, Promise<JobCipher>>();

  constructor(parts: ServiceParts, clientId: number) {
    this.#parts = parts;
    this.#clientId = clientId;
  }

  async open(point: ReadablePoint): Promise<OpenPoint> {
    return await this.#parts.library.open({
      store: await this.store(point, { patient: false }),
      prefix: point.prefix,
      job: point.jobUuid,
      keys: macKeysOf(this.#parts.secrets),
      cipher: () => this.cipher(point),
      run: point.runUuid,
      claim: point.claimName,
      manifestSha256: point.manifestSha256,
    });
  }

  async store(point: ReadablePoint, options: { patient: boolean }): Promise<ObjectStore> {
    const key = `${point.bucketId} ${point.bucket} ${options.patient}`;
    const known = this.#stores.get(key) ?? this.#openStore(point, options);
    this.#stores.set(key, known);
    return await known;
  }

  /** With what the point's files are encrypted; null: not at all. @throws BackupError `ERR_CRYPT_KEYS_MISSING`, `ERR_KEY_UNKNOWN` */
  async cipher({ jobUuid, encrypted }: ReadablePoint): Promise<JobCipher | null> {
    if (!encrypted) return null;
    const known = this.#ciphers.get(jobUuid) ?? this.#openCipher(jobUuid);
    this.#ciphers.set(jobUuid, known);
    return await known;
  }

  async #openCipher(jobUuid: string): Promise<JobCipher> {
    const keys = await new ClientKeys(this.#parts.database, this.#clientId).get(jobUuid);
    return await openJobCipher(unwrapKeys(this.#parts.secrets, keys));
  }

  async #openStore({ bucketId, bucket }: ReadablePoint, options: { patient: boolean }): Promise<ObjectStore> {
    const { host, secrets, openStore } = this.#parts;
    const request = { clientId: this.#clientId, bucketId, bucketName: bucket };
    return openStore(await bucketAccess(host, secrets, request), options);
  }
}

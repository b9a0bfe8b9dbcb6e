import { appendAudit } from '../database/audit.ts';
import { ClientJobs } from '../database/jobs.ts';
import { ClientSettings, type StoredSettings } from '../database/settings.ts';
import { invalidFields } from '../errors/invalid-fields.ts';
import { isTimezone } from '../schedule/zone.ts';
import type { SettingsService } from './client.ts';
import { clientActor, timezoneOf, type ServiceParts } from './parts.ts';
import { replan } from './plan-schedule.ts';
import { emailsOf } from './views.ts';

const PAGE = 200;

/** Defaults of one client: who gets mails about what, and its time zone. */
export function settingsService(parts: ServiceParts, clientId: number): SettingsService {
  const settings = new ClientSettings(parts.database, clientId);
  const jobs = new ClientJobs(parts.database, clientId);

  /** Jobs without a zone of their own follow the client's. Each by itself: what stops in between is right again after its next run. */
  async function moveSchedules(timezone: string): Promise<void> {
    let after: string | undefined;
    do {
      const page = await jobs.list({ after, limit: PAGE });
      for (const job of page) {
        const plan = job.status === 'active' ? replan(job, timezone, parts.clock()) : null;
        if (plan !== null) await parts.database.transaction((trx) => jobs.update(trx, job.uuid, plan));
      }
      after = page.length < PAGE ? undefined : page.at(-1)?.uuid;
    } while (after !== undefined);
  }

  return {
    async get() {
      const stored = await settings.get();
      return { ...stored, default_notify_emails: emailsOf(stored.default_notify_emails) };
    },
    async update(changes) {
      const { default_notify_emails: emails, default_timezone: timezone, ...flags } = changes;
      if (timezone !== undefined && timezone !== null && !isTimezone(timezone)) {
        throw invalidFields([['default_timezone', 'must be a time zone such as Europe/Berlin']]);
      }
      const columns: { [Name in keyof StoredSettings]?: StoredSettings[Name] | undefined } = {
        ...flags,
        ...(timezone === undefined ? {} : { default_timezone: timezone }),
        ...(emails === undefined ? {} : { default_notify_emails: emails.length === 0 ? null : JSON.stringify(emails) }),
      };
      const before = await timezoneOf(parts, clientId);
      await parts.database.transaction(async (trx) => {
        await settings.update(trx, columns);
        await appendAudit(parts.database, trx, {
          ...clientActor(clientId),
          action: 'settings.changed',
          targetKind: 'client',
          targetId: String(clientId),
          params: { fields: Object.keys(columns) },
        });
      });
      const after = await timezoneOf(parts, clientId);
      if (after !== before) await moveSchedules(after);
    },
  };
}

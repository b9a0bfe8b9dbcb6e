import { appendAudit } from '../database/audit.ts';
import { ClientSettings, type StoredSettings } from '../database/settings.ts';
import { invalidFields } from '../errors/invalid-fields.ts';
import { isTimezone } from '../schedule/zone.ts';
import type { SettingsService } from './client.ts';
import { clientActor, type ServiceParts } from './parts.ts';
import { emailsOf } from './views.ts';

/** Defaults of one client: who gets mails about what, and its time zone. */
export function settingsService(parts: ServiceParts, clientId: number): SettingsService {
  const settings = new ClientSettings(parts.database, clientId);
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
    },
  };
}

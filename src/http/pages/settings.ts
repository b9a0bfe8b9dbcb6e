import { page, view } from '../page.ts';

/** What counts for all jobs of the client that do not say otherwise. */
export const settingsPage = page({
  path: '/settings',
  caller: 'client',
  navigation: 'Settings',
  handle: async ({ client }) => {
    const settings = await client.settings.get();
    return view('pages/settings.njk', {
      settings,
      emails: settings.default_notify_emails.join(', '),
      zones: Intl.supportedValuesOf('timeZone'),
    });
  },
});

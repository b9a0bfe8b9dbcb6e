/** How dates are written in pages, each shape with its locale. */
const SHAPES = {
  /** `2025-11-04` */
  iso: ['en-CA', {}],
  /** `14:05` */
  hour: ['en-GB', { hour: '2-digit', minute: '2-digit' }],
  /** `Tuesday` */
  weekday: ['en-GB', { weekday: 'long' }],
  /** `4 Nov 2025` */
  date: ['en-GB', { day: 'numeric', month: 'short', year: 'numeric' }],
  /** `Mon 23 Nov, 02:00` */
  slot: ['en-GB', { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' }],
  /** `Tue, 4 Nov 2025, 14:05:09 CET` */
  full: [
    'en-GB',
    {
      weekday: 'short',
      day: 'numeric',
      month: 'short',
      year: 'numeric',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      timeZoneName: 'short',
    },
  ],
} as const satisfies Record<string, readonly [string, Intl.DateTimeFormatOptions]>;

const formats = new Map<string, Intl.DateTimeFormat>();

/** Making a format takes a hundred times as long as using it, and a list of jobs uses it for each one. */
export function formatDate(at: number, shape: keyof typeof SHAPES, timezone: string): string {
  const key = `${shape} ${timezone}`;
  let format = formats.get(key);
  if (format === undefined) {
    const [locale, options] = SHAPES[shape];
    format = new Intl.DateTimeFormat(locale, { ...options, timeZone: timezone });
    formats.set(key, format);
  }
  return format.format(at);
}

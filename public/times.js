/**
 * Times in the viewer's zone and language habits: the page comes with words of the server's zone, this puts the viewer's in their
 * place and keeps "5 min ago" true while the page is open.
 */
const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 86_400_000;

const exact = new Intl.DateTimeFormat('en-GB', {
  weekday: 'short',
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  timeZoneName: 'short',
});
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const weekday = new Intl.DateTimeFormat('en-GB', { weekday: 'long' });
const date = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
const hour = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const slot = new Intl.DateTimeFormat('en-GB', {
  weekday: 'short',
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
});

/** As formatRelative of the server: `just now`, `5 min ago`, `in 3 h`, `2 d ago`, `8 months ago`, `2 years ago`. */
function relative(at, now) {
  const distance = Math.abs(now - at);
  if (distance < 45_000) return at > now ? 'in a moment' : 'just now';
  const [size, , unit] = [
    [365.25 * DAY, 1.95, 'years'],
    [30.4375 * DAY, 2.95, 'months'],
    [DAY, 0.95, 'd'],
    [HOUR, 0.95, 'h'],
  ].find(([size, from]) => distance >= size * from) ?? [MINUTE, 1, 'min'];
  const amount = `${Math.max(1, Math.round(distance / size))} ${unit}`;
  return at > now ? `in ${amount}` : `${amount} ago`;
}

function since(at, now) {
  if (date.format(at) === date.format(now)) return hour.format(at);
  return now - at < 6 * DAY ? weekday.format(at) : date.format(at);
}

/** `2 min 5 s`: how long something that is under way has taken. */
function elapsed(at, now) {
  const seconds = Math.max(0, Math.round((now - at) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
}

const styles = {
  relative,
  since,
  elapsed,
  clock: (at) => clock.format(at),
  slot: (at) => slot.format(at),
  exact: (at) => exact.format(at),
};

function show(root) {
  const now = Date.now();
  for (const element of root.querySelectorAll('time[data-when]')) {
    const at = Date.parse(element.dateTime);
    const style = styles[element.dataset.when];
    if (Number.isNaN(at) || style === undefined) continue;
    const text = style(at, now);
    if (element.textContent !== text) element.textContent = text;
    if (element.dataset.exact !== undefined) element.dataset.exact = exact.format(at);
  }
}

show(document);
setInterval(() => show(document), 1000);
document.addEventListener('htmx:after:swap', () => show(document));

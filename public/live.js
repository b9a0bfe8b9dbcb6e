/**
 * What changes by itself asks again every two seconds (htmx): only while somebody looks, naming what it has (ETag), so that an
 * answer without news is empty. The asking ends when the answer comes without a trigger: the run is over.
 */
let known = null;

const isLive = (event) => event.detail.ctx.sourceElement.matches('[data-live]');
const mark = (stale) => document.getElementById('live')?.classList.toggle('is-stale', stale);

document.addEventListener('htmx:config:request', (event) => {
  if (!isLive(event)) return;
  if (document.hidden) {
    event.preventDefault();
    return;
  }
  const { headers } = event.detail.ctx.request;
  // Browsers add "no-cache" to a request with If-None-Match of ours, and servers then answer in full.
  headers['Cache-Control'] = 'max-age=0';
  if (known !== null) headers['If-None-Match'] = known;
});

document.addEventListener('htmx:after:request', (event) => {
  if (!isLive(event)) return;
  const { status, headers } = event.detail.ctx.response;
  if (status === 200) known = headers.get('etag');
  mark(status >= 500);
});

document.addEventListener('htmx:error', (event) => {
  if (isLive(event)) mark(true);
});

/** Speeds that this page has seen, by second: finer than what the run tells the database. */
const speeds = new Map();

function drawSpeeds() {
  const plot = document.querySelector('#live [data-samples]');
  if (plot === null) return;
  for (const sample of plot.dataset.samples.split(' ')) {
    const [second, speed] = sample.split(':').map(Number);
    if (Number.isFinite(second) && Number.isFinite(speed)) speeds.set(second, speed);
  }
  const samples = [...speeds].sort(([one], [other]) => one - other);
  const highest = Math.max(...speeds.values());
  if (samples.length < 2 || highest <= 0) return;
  const { width, height } = plot.viewBox.baseVal;
  const [[first], [last]] = [samples[0], samples[samples.length - 1]];
  const top = 3;
  const points = samples.map(([second, speed]) => {
    const x = ((second - first) / (last - first)) * width;
    const y = height - (speed / highest) * (height - top);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  const line = `M${points.join('L')}`;
  plot.querySelector('.line').setAttribute('d', line);
  plot.querySelector('.area').setAttribute('d', `${line}L${width} ${height}L0 ${height}Z`);
  document.querySelector('#live [data-highest]').textContent = `Highest ${speedText(highest)}`;
}

/** As formatSpeed of the server: `24.1 MiB/s`. */
function speedText(bytesPerSecond) {
  let value = bytesPerSecond;
  let unit = 'B';
  for (const next of ['KiB', 'MiB', 'GiB']) {
    if (value < 1023.5) break;
    value /= 1024;
    unit = next;
  }
  const digits = unit === 'B' || value >= 100 ? 0 : value < 10 ? 2 : 1;
  return `${value.toFixed(digits)} ${unit}/s`;
}

drawSpeeds();
document.addEventListener('htmx:after:swap', drawSpeeds);

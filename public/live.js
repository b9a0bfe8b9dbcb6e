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

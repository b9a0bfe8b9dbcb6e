/**
 * The restore page: what was ticked stays chosen from folder to folder (and while the tab is open), downloads say what went wrong, and a moment
 * is meant on the clock of whoever looks.
 */
const form = document.querySelector('[data-restore]');
/** What fits into the address of a download. */
const LONGEST_ADDRESS = 12_000;

const storageKey = `e3-restore-${form?.dataset.point}`;
const chosen = new Set(read());

function read() {
  try {
    const list = JSON.parse(sessionStorage.getItem(storageKey) ?? '[]');
    return Array.isArray(list) ? list.map(String) : [];
  } catch {
    return [];
  }
}

function keep() {
  try {
    sessionStorage.setItem(storageKey, JSON.stringify([...chosen]));
  } catch {
    // What was chosen lasts as long as the page.
  }
}

/** The folder above a path that is chosen, if one is. */
function chosenAbove(path) {
  for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
    if (chosen.has(path.slice(0, at))) return path.slice(0, at);
  }
  return null;
}

function choose(path, on) {
  if (!on) {
    chosen.delete(path);
    return;
  }
  // A folder takes what was chosen in it along.
  for (const other of [...chosen]) if (other.startsWith(`${path}/`)) chosen.delete(other);
  chosen.add(path);
}

function show() {
  for (const box of document.querySelectorAll('[data-tick]')) {
    const above = chosenAbove(box.value);
    box.checked = above !== null || chosen.has(box.value);
    box.disabled = above !== null;
    box.title = above === null ? '' : `Chosen with ${above}`;
  }
  if (form === null) return;
  const paths = [...chosen].sort();
  form.elements.paths.value = JSON.stringify(paths);
  form.querySelector('[data-nothing-chosen]').hidden = paths.length > 0;
  form.querySelector('[data-chosen]').hidden = paths.length === 0;
  form.querySelector('[data-chosen-count]').textContent =
    paths.length === 1 ? 'Only this:' : `Only these ${paths.length.toLocaleString('en')}:`;
  const rows = paths.slice(0, 200).map((path) => {
    const row = document.getElementById('chosen-row').content.cloneNode(true);
    row.querySelector('[data-path]').textContent = path;
    const button = row.querySelector('[data-remove]');
    button.dataset.remove = path;
    button.setAttribute('aria-label', `Remove ${path}`);
    return row;
  });
  form.querySelector('[data-chosen-list]').replaceChildren(...rows);
}

document.addEventListener('change', (event) => {
  if (!event.target.matches('[data-tick]')) return;
  choose(event.target.value, event.target.checked);
  keep();
  show();
});

form?.addEventListener('click', (event) => {
  const remove = event.target.closest('[data-remove]');
  if (remove) chosen.delete(remove.dataset.remove);
  else if (event.target.closest('[data-clear]')) chosen.clear();
  else if (event.target.closest('[data-download-start]')) return download();
  else return;
  keep();
  show();
});

// Enter in a field sends the form: a download is no restore run.
form?.addEventListener('submit', (event) => {
  if (form.elements.target.value !== 'download') return;
  event.preventDefault();
  event.stopPropagation();
  download();
});

function download() {
  const format = form.querySelector('[data-format]').value;
  const query = new URLSearchParams({ point_id: form.dataset.point, format });
  for (const path of [...chosen].sort()) query.append('paths', path);
  const address = `${form.dataset.downloadAddress}?${query}`;
  if (address.length > LONGEST_ADDRESS) {
    window.e3.tell('These are too many single files for one download. Choose their folders, or restore into a bucket.');
    return;
  }
  frame.src = address;
  window.e3.tell('The download begins in a moment. Look among the downloads of your browser.', 'good');
}

const frame = document.querySelector('[data-download]');
// A download leaves the frame as it is; only a refusal is shown in it.
frame?.addEventListener('load', () => {
  const text = frame.contentDocument?.body?.textContent ?? '';
  if (!text.startsWith('{')) return;
  try {
    window.e3.tell(String(JSON.parse(text).message));
  } catch {
    window.e3.tell('The download could not be started. Try again in a minute.');
  }
});

for (const moment of document.querySelectorAll('[data-moment]')) {
  moment.querySelector('[data-zone]').textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
  moment.addEventListener('submit', (event) => {
    const at = new Date(moment.elements.moment.value).getTime();
    if (Number.isNaN(at)) return;
    event.preventDefault();
    // The whole minute is meant.
    location.assign(`${moment.action}?moment=${at + 59_999}`);
  });
}

/** Times in lists to choose from cannot be <time>: they get the viewer's zone here. */
const exact = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' });

function redraw() {
  for (const option of document.querySelectorAll('option[data-at]')) {
    option.textContent = exact.format(Number(option.dataset.at));
  }
  show();
}

document.addEventListener('htmx:after:swap', () => {
  redraw();
  // What had the focus is gone: whoever uses the keyboard goes on at the top of the list.
  if (document.activeElement === document.body) document.getElementById('files-title')?.focus();
});
document.addEventListener('htmx:after:request', (event) => {
  if ((event.detail.ctx.response?.status ?? 0) < 400) return;
  window.e3.tell('This could not be shown. Try again in a minute, or reload the page.');
});
document.addEventListener('htmx:error', () => {
  window.e3.tell('The portal does not answer. Try again in a minute.');
});
redraw();

/**
 * Forms marked `data-action` change something by an endpoint of the API: sent here, so that what went wrong is told beside the
 * button, in the same three sentences as everywhere (what happened, what it means for the data, what to do).
 */
const token = document.querySelector('meta[name="csrf-token"]')?.content ?? '';

/**
 * @param {string} address
 * @param {URLSearchParams} fields
 * @returns {Promise<Record<string, unknown>>} the answer; `status` is `success`, or `fail` with `message`, `code` and maybe `fields`
 */
async function send(address, fields) {
  try {
    const response = await fetch(address, {
      method: 'POST',
      headers: { 'X-CSRF-Token': token, Accept: 'application/json' },
      body: fields,
      credentials: 'same-origin',
    });
    return await response.json();
  } catch {
    return {
      status: 'fail',
      code: 'NETWORK',
      message:
        'The portal could not be reached, so it is not known whether this was carried out. Reload the page and look.',
    };
  }
}

/** As `send`, for what only reads. */
async function ask(address, fields) {
  try {
    const response = await fetch(`${address}?${fields}`, {
      headers: { Accept: 'application/json' },
      credentials: 'same-origin',
    });
    return await response.json();
  } catch {
    return { status: 'fail', code: 'NETWORK', message: 'The portal could not be reached. Try again.' };
  }
}

/** Puts a message at the top of the page and reads it out. */
function tell(text, kind = 'failed') {
  const place = document.getElementById('notices');
  const template = document.getElementById(`notice-${kind}`);
  const notice = template.content.cloneNode(true);
  notice.querySelector('[data-text]').textContent = text;
  place.replaceChildren(notice);
  place.scrollIntoView({ block: 'nearest' });
}

/** `/backup/runs/{run_id}` with the fields of the answer. */
function filled(address, answer) {
  return address.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(String(answer[name] ?? '')));
}

/** For the other scripts of a page. Modules do not import each other: each one's address names its own content. */
window.e3 = { send, ask, tell, showProblems };

document.addEventListener('submit', async (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || form.dataset.action === undefined) return;
  event.preventDefault();
  const button = event.submitter ?? form.querySelector('button');
  if (button?.getAttribute('aria-disabled') === 'true') return;
  if (form.dataset.confirm && !window.confirm(form.dataset.confirm)) return;
  button?.setAttribute('aria-disabled', 'true');
  const answer = await send(form.action, fieldsOf(form, event.submitter));
  button?.removeAttribute('aria-disabled');
  if (answer.status === 'success') {
    succeed(form, answer);
    return;
  }
  form.closest('details[open]')?.removeAttribute('open');
  if (!showProblems(form, answer.fields)) tell(String(answer.message));
});

/** What a form sends: fields that do not show are left out, and a box that is not ticked says so where it has `data-off`. */
function fieldsOf(form, submitter) {
  const fields = new URLSearchParams(new FormData(form, submitter));
  for (const input of form.querySelectorAll('.only [name]')) {
    if (input.closest('.only').getClientRects().length === 0 && input.getClientRects().length === 0)
      fields.delete(input.name);
  }
  for (const box of form.querySelectorAll('input[data-off]:not(:checked)')) fields.set(box.name, box.dataset.off);
  return fields;
}

function succeed(form, answer) {
  // To the service where the person signs in.
  if (form.dataset.leave !== undefined && /^https:\/\//.test(answer.url)) return location.assign(answer.url);
  const { then, told } = form.dataset;
  // A page that only passes something on is not one to come back to.
  if (then && form.dataset.now !== undefined) location.replace(filled(then, answer));
  else if (then) location.assign(filled(then, answer));
  else if (told) {
    showProblems(form, {});
    tell(told, 'good');
  } else location.reload();
}

/** Says beside each field what is wrong with it. False when that is not possible for one of them. */
function showProblems(form, problems, fieldFor = (name) => form.querySelector(`[data-field="${CSS.escape(name)}"]`)) {
  for (const place of form.querySelectorAll('[data-problem]')) place.hidden = true;
  for (const input of form.querySelectorAll('[aria-invalid]')) input.removeAttribute('aria-invalid');
  let first = null;
  for (const [name, text] of Object.entries(problems ?? {})) {
    const field = fieldFor(name);
    if (!field) return false;
    const place = field.querySelector('[data-problem]');
    place.querySelector('span').textContent = sentence(field, text);
    place.hidden = false;
    const input = field.querySelector('.input, input');
    input.setAttribute('aria-invalid', 'true');
    first ??= input;
  }
  first?.focus();
  return first !== null;
}

/** `must not be empty` → `Bucket must not be empty.`; `choose a day` → `Choose a day.` */
function sentence(field, text) {
  const label = field.querySelector('label, .label')?.textContent.trim() ?? '';
  const rest = /^(must|is|needs|never|may)\b/.test(text) && label !== '';
  const whole = rest ? `${label} ${text}` : text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

/** What the person has decided on another page already. */
for (const form of document.querySelectorAll('form[data-now]')) form.requestSubmit();

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
export async function send(address, fields) {
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

/** Puts a message at the top of the page and reads it out. */
export function tell(text, kind = 'failed') {
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

document.addEventListener('submit', async (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || form.dataset.action === undefined) return;
  event.preventDefault();
  const button = event.submitter ?? form.querySelector('button');
  if (button?.getAttribute('aria-disabled') === 'true') return;
  button?.setAttribute('aria-disabled', 'true');
  const answer = await send(form.action, new URLSearchParams(new FormData(form)));
  button?.removeAttribute('aria-disabled');
  if (answer.status === 'success') {
    const then = form.dataset.then;
    if (then) location.assign(filled(then, answer));
    else location.reload();
    return;
  }
  form.closest('details[open]')?.removeAttribute('open');
  tell(String(answer.message));
});

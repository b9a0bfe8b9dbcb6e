/** Fetches the recovery kit and hands it to the browser as a download: what went wrong is told beside the field, not in a page of JSON. */
const form = document.querySelector('[data-kit]');
const button = form.querySelector('[type="submit"]');

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  if (button.getAttribute('aria-disabled') === 'true') return;
  window.e3.showProblems(form, {});
  button.setAttribute('aria-disabled', 'true');
  const answer = await fetchKit();
  button.removeAttribute('aria-disabled');
  if (answer.kit) {
    form.elements.confirmation.value = '';
    save(answer.kit, answer.name);
    window.e3.tell('The kit was downloaded. Keep it where you keep passwords.', 'good');
    return;
  }
  const problems = answer.code === 'CONFIRMATION_FAILED' ? { confirmation: answer.message } : answer.fields;
  if (!window.e3.showProblems(form, problems)) window.e3.tell(String(answer.message));
});

async function fetchKit() {
  try {
    const response = await fetch(form.action, {
      method: 'POST',
      headers: { 'X-CSRF-Token': document.querySelector('meta[name="csrf-token"]').content },
      body: new URLSearchParams(new FormData(form)),
      credentials: 'same-origin',
    });
    if (!response.ok) return await response.json();
    return { kit: await response.blob(), name: nameIn(response.headers.get('Content-Disposition') ?? '') };
  } catch {
    return { message: 'The portal could not be reached, or the download broke off. Try again.' };
  }
}

/** `attachment; filename="…"; filename*=UTF-8''…` */
function nameIn(disposition) {
  const encoded = /filename\*=UTF-8''([^;]+)/i.exec(disposition)?.[1];
  if (encoded !== undefined) return decodeURIComponent(encoded);
  return /filename="([^"]*)"/.exec(disposition)?.[1] ?? 'recovery-kit.zip';
}

function save(kit, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(kit);
  link.download = name;
  link.click();
  // The keys need not stay in memory longer than the download takes.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

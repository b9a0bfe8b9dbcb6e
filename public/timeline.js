/**
 * The time line of restore points: arrow keys walk from point to point, a click or Enter shows that point below the line without
 * leaving the page. Without this script every point is a plain link.
 */
async function choose(mark) {
  const address = mark.getAttribute('href');
  try {
    const response = await fetch(address.replace(/#.*$/, ''), { credentials: 'same-origin' });
    if (!response.ok) throw new Error(String(response.status));
    const page = new DOMParser().parseFromString(await response.text(), 'text/html');
    const fresh = page.getElementById('timeline');
    const shown = document.getElementById('timeline');
    if (!fresh || !shown) throw new Error('no time line');
    shown.replaceWith(fresh);
    history.replaceState(history.state, '', address);
    document.dispatchEvent(new Event('htmx:after:swap'));
    fresh.querySelector(`[data-point="${CSS.escape(mark.dataset.point)}"]`)?.focus({ preventScroll: true });
  } catch {
    location.assign(address);
  }
}

document.addEventListener('click', (event) => {
  const mark = event.target.closest?.('[data-timeline] [data-point]');
  if (!mark || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  void choose(mark);
});

document.addEventListener('keydown', (event) => {
  const line = event.target.closest?.('[data-timeline]');
  const mark = event.target.closest?.('[data-point]');
  if (!line || !mark) return;
  const marks = [...line.querySelectorAll('[data-point]')];
  const at = marks.indexOf(mark);
  const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: marks.length - 1 }[event.key];
  if (next === undefined || marks[next] === undefined) return;
  event.preventDefault();
  mark.setAttribute('tabindex', '-1');
  marks[next].setAttribute('tabindex', '0');
  marks[next].focus();
});

/** Small behaviours of the frame: menus that close, the strip that arrow keys walk through, the choice of colours. */

document.addEventListener('click', (event) => {
  for (const menu of document.querySelectorAll('details[data-menu][open]')) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') {
    const menu = event.target.closest?.('details[data-menu][open]');
    if (menu) {
      menu.open = false;
      menu.querySelector('summary').focus();
    }
    return;
  }
  const strip = event.target.closest?.('[data-strip]');
  if (strip) walk(strip, event);
});

function walk(strip, event) {
  const days = [...strip.children];
  const at = days.indexOf(event.target);
  const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: days.length - 1 }[event.key];
  if (next === undefined || days[next] === undefined) return;
  event.preventDefault();
  days[at].tabIndex = -1;
  days[next].tabIndex = 0;
  days[next].focus();
}

const scheme = document.querySelector('[data-scheme]');
if (scheme) {
  const select = scheme.querySelector('select');
  select.value = document.documentElement.dataset.theme ?? '';
  scheme.hidden = false;
  select.addEventListener('change', () => {
    if (select.value === '') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = select.value;
    try {
      if (select.value === '') localStorage.removeItem('e3-scheme');
      else localStorage.setItem('e3-scheme', select.value);
    } catch {
      // The choice lasts as long as the page.
    }
  });
}

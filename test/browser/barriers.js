// @ts-nocheck -- it runs in a browser, and this project is typed for Node.
/* global document, getComputedStyle, NodeFilter */

/** Runs in a page (accessibility.ts): everything it needs is inside. Gives what is wrong, in words. */
(() => {
  const found = [];
  const shown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const name = (element) =>
    `<${element.tagName.toLowerCase()}${element.id === '' ? '' : `#${element.id}`}> "${(element.textContent ?? '').trim().slice(0, 40)}"`;

  if (document.documentElement.lang === '') found.push('the language of the page is not told');
  if (document.title.trim() === '') found.push('the page has no title');
  if (document.querySelectorAll('main').length !== 1) found.push('the page has no single <main>');
  if (document.querySelectorAll('h1').length !== 1) found.push('the page has no single <h1>');

  let level = 0;
  for (const heading of document.querySelectorAll('h1, h2, h3, h4')) {
    if (!shown(heading)) continue;
    const next = Number(heading.tagName[1]);
    if (next > level + 1) found.push(`${name(heading)} skips a level`);
    level = next;
  }

  const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
  for (const id of new Set(ids.filter((one, index) => ids.indexOf(one) !== index)))
    found.push(`the id "${id}" occurs twice`);
  for (const attribute of ['aria-labelledby', 'aria-describedby', 'for']) {
    for (const element of document.querySelectorAll(`[${attribute}]`)) {
      for (const id of (element.getAttribute(attribute) ?? '').split(/\s+/)) {
        if (document.getElementById(id) === null) found.push(`${name(element)}: ${attribute} leads to nothing (${id})`);
      }
    }
  }

  for (const element of document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')) {
    if (!shown(element) || element.matches('main, [type="hidden"]')) continue;
    const labels = element.labels;
    const label =
      element.getAttribute('aria-label') ?? [...(labels ?? [])].map((one) => one.textContent).join(' ') ?? '';
    const told = `${label} ${element.textContent ?? ''} ${element.getAttribute('title') ?? ''}`.trim();
    if (told === '') found.push(`${name(element)} has no name`);
  }
  for (const graphic of document.querySelectorAll(
    'img:not([alt]), svg:not([aria-hidden]):not([aria-label]):not([role="none"])',
  )) {
    if (shown(graphic)) found.push(`${name(graphic)} has no text`);
  }

  const rgba = (colour) => {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 1;
    const context = canvas.getContext('2d', { willReadFrequently: true });
    if (context === null) return [0, 0, 0, 1];
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [r = 0, g = 0, b = 0, a = 0] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => {
    const alpha = top[3] ?? 1;
    const mix = (index) => (top[index] ?? 0) * alpha + (below[index] ?? 0) * (1 - alpha);
    return [mix(0), mix(1), mix(2), 1];
  };
  const ground = (element) => {
    if (element === null) return [255, 255, 255, 1];
    const own = rgba(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, ground(element.parentElement));
  };
  const luminance = (colour) => {
    const [r = 0, g = 0, b = 0] = colour.slice(0, 3).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (element === null || seen.has(element) || (walker.currentNode.textContent ?? '').trim() === '') continue;
    seen.add(element);
    if (
      !shown(element) ||
      element.closest('option, script, style, template, noscript, .skip, [disabled], [aria-disabled="true"]')
    )
      continue;
    if (element.getClientRects().length === 0) continue;
    const style = getComputedStyle(element);
    const behind = ground(element);
    const front = over(rgba(style.color), behind);
    const [dark = 0, light = 0] = [luminance(front), luminance(behind)].sort((a, b) => a - b);
    const contrast = (light + 0.05) / (dark + 0.05);
    const large = Number.parseFloat(style.fontSize) >= 24;
    if (contrast < (large ? 3 : 4.5)) found.push(`${name(element)} has a contrast of ${contrast.toFixed(2)} only`);
  }
  return found;
})();

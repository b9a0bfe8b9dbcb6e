import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';

/** WCAG 2.2: 4.5 for words, 3 for what is drawn and means something (1.4.3, 1.4.11). */
const WORDS = 4.5;
const SHAPES = 3;

const sheet = readFileSync(new URL('../../../views/styles/tokens.css', import.meta.url), 'utf8');

describe.each(['light', 'dark'] as const)('the colours of the %s pages', (scheme) => {
  const grounds = ['panel', 'surface', 'sunken'];
  const states = ['good', 'warning', 'failed', 'running'];

  it.each([
    ...grounds.flatMap((ground) => ['text', 'muted'].map((word) => [word, ground] as const)),
    ...states.flatMap((state) => [
      [state, 'panel'] as const,
      [state, `${state}-soft`] as const,
      ['text', `${state}-soft`] as const,
    ]),
    ['on-accent', 'accent'] as const,
  ])('let %s be read on %s', (word, ground) => {
    expect(contrast(token(word), token(ground))).toBeGreaterThanOrEqual(WORDS);
  });

  it.each([...states.map((state) => `${state}-fill`), 'idle-fill', 'field-line'])(
    'let %s be seen on a panel',
    (shape) => {
      expect(contrast(token(shape), token('panel'))).toBeGreaterThanOrEqual(SHAPES);
    },
  );

  function token(name: string): string {
    const value = new RegExp(`--e3-${name}: ([^;]+);`).exec(sheet)?.[1] ?? '';
    const pair = /^light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)$/.exec(value);
    const colour = pair === null ? value : pair[scheme === 'light' ? 1 : 2];
    if (colour === undefined || !/^#[0-9a-f]{6}$/.test(colour))
      throw new Error(`--e3-${name} is no plain colour: ${value}`);
    return colour;
  }
});

function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((start) => {
    const value = Number.parseInt(colour.slice(start, start + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

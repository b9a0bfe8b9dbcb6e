import type { Theme } from '../host/port.ts';

/**
 * The host's theme as a style sheet: `{ accent: '#0a7' }` becomes `--e3-accent: #0a7`. Inline styles are forbidden by the content
 * security policy, so it has an address of its own. What could end the declaration or load something is left out.
 */
export function themeSheet(theme: Theme): string {
  const declarations = Object.entries(theme.variables)
    .filter(([name, value]) => /^[a-z][a-z0-9-]{0,63}$/.test(name) && isHarmlessValue(value))
    .map(([name, value]) => `  --e3-${name}: ${value};\n`);
  return `:root {\n${declarations.join('')}}\n`;
}

function isHarmlessValue(value: string): boolean {
  return value.length <= 256 && !/[;{}<>\\@\u0000-\u001f\u007f]|\/\*|url\s*\(|image\s*\(|expression\s*\(/i.test(value);
}

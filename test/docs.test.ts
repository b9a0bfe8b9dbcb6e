import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { endpoints } from '../api/index.ts';
import { catalogue } from '../src/errors/catalogue.ts';
import { generated } from '../tools/docs.ts';

describe('the reference pages', () => {
  it.each(Object.entries(generated))(
    '%s: the file is what the code makes (npm run docs:%s)',
    (_name, { file, text }) => {
      expect(readFileSync(file, 'utf8')).toBe(text());
    },
  );

  it('have an entry for every error code, and for every endpoint', () => {
    for (const code of Object.keys(catalogue)) expect(generated.errors.text()).toContain(`\n### ${code}\n`);
    for (const { method, name } of endpoints) expect(generated.api.text()).toContain(`\n### ${method} ${name}\n`);
  });
});

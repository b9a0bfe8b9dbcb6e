import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { packageRoot } from '../../../src/engines/tools.ts';
import { filledForms, sourceForms, type ShownField, type SourceForm } from '../../../src/http/pages/source-fields.ts';
import { sourceType, sourceTypes } from '../../../src/sources/registry.ts';

/** Settings of a type's schema; of one with variants those of each, by the value that chooses it. */
function settingsOf(schema: z.ZodType): { readonly variant: string | null; readonly names: string[] }[] {
  if (schema instanceof z.ZodDiscriminatedUnion) {
    return schema.options.map((option) => {
      const { shape } = option as z.ZodObject;
      const literal = shape['protocol'] as z.ZodLiteral;
      return { variant: String([...literal.values][0]), names: Object.keys(shape) };
    });
  }
  return [{ variant: null, names: Object.keys((schema as z.ZodObject).shape) }];
}

/** Filled in by the server. */
const NOT_ASKED = ['account'];

const shownFor = (form: SourceForm, variant: string | null) =>
  form.fields.filter(
    (field) => variant === null || field.when === null || field.when.values.includes(variant) || field.setting === '',
  );

const form = (type: string): SourceForm => sourceForms.find((one) => one.type === type) as SourceForm;

interface Filled {
  readonly type: string;
  readonly chosen: boolean;
  readonly fields: ShownField[];
  readonly path: { readonly value: string };
}

describe('the job form', () => {
  it('has a part for every type of source', () => {
    expect(sourceForms.map(({ type }) => type).sort()).toEqual(sourceTypes.map(({ name }) => name).sort());
  });

  it.each(sourceTypes.map(({ name }) => name))('asks for every setting of %s, and for no other', (name) => {
    for (const { variant, names } of settingsOf(sourceType(name).config)) {
      const asked = shownFor(form(name), variant).flatMap(({ setting }) => (setting === '' ? [] : [setting]));
      expect([variant, [...asked].sort()]).toEqual([variant, names.filter((one) => !NOT_ASKED.includes(one)).sort()]);
    }
  });

  it.each(sourceTypes.map(({ name }) => name))(
    'asks for the secrets of %s, and for no other setting, hidden',
    (name) => {
      const hidden = form(name).fields.filter(({ input }) => input === 'secret' || input === 'lines');
      expect([...new Set(hidden.map(({ setting }) => setting))].sort()).toEqual([...sourceType(name).secrets].sort());
    },
  );

  it('names every field once, and shows each choice by a rule of the style sheet', () => {
    const names = sourceForms.flatMap(({ fields, path }) => [...fields.map(({ name }) => name), path.name]);
    expect(new Set(names).size).toBe(names.length);
    const styles = readFileSync(join(packageRoot(), 'views', 'styles', 'forms.css'), 'utf8');
    for (const { type, fields } of sourceForms) {
      expect(styles).toContain(`input[name='source_type'][value='${type}']:checked) .only.for-${type}`);
      for (const { when } of fields) {
        for (const value of when?.values ?? [])
          expect(styles).toContain(`input[name='${when?.name}'][value='${value}']:checked) .only.${when?.css}`);
      }
    }
  });

  it('offers every value of a choice that the type takes', () => {
    for (const { type, fields } of sourceForms) {
      for (const { setting, options, input, when } of fields.filter((one) => one.setting !== '')) {
        if (input !== 'choice') continue;
        const schema: z.ZodType = sourceType(type).config;
        const { shape } = (
          schema instanceof z.ZodDiscriminatedUnion
            ? schema.options.find((one) =>
                when?.values.includes(String([...((one as z.ZodObject).shape['protocol'] as z.ZodLiteral).values][0])),
              )
            : schema
        ) as z.ZodObject;
        const taken = (shape[setting] as z.ZodDefault<z.ZodEnum>).unwrap().options;
        expect([type, setting, options.map(([value]) => value).sort()]).toEqual([type, setting, [...taken].sort()]);
      }
    }
  });
});

describe('the form of a job that is there', () => {
  const filled = (source: Parameters<typeof filledForms>[0]): Filled[] => filledForms(source) as Filled[];
  const valuesOf = (part: Filled | undefined) =>
    Object.fromEntries((part?.fields ?? []).map(({ name, value }) => [name, value]));

  it('shows what is stored in the part of its type alone', () => {
    const config = { protocol: 'ftp', host: 'nas.example.com', user: 'ada', encryption: 'implicit' };
    const parts = filled({ type: 'nas', config, secrets: { pass: true }, path: 'photos' });
    expect(parts.filter(({ chosen }) => chosen).map(({ type }) => type)).toEqual(['nas']);
    const nas = parts.find(({ type }) => type === 'nas');
    expect(valuesOf(nas)).toMatchObject({
      nas_protocol: 'ftp',
      nas_ftp_host: 'nas.example.com',
      nas_ftp_encryption: 'implicit',
      nas_smb_host: '',
      nas_smb_port: '445',
    });
    expect(nas?.path.value).toBe('photos');
    expect(nas?.fields.filter(({ stored }) => stored).map(({ name }) => name)).toEqual(['nas_ftp_pass']);
    expect(valuesOf(parts.find(({ type }) => type === 'smb'))['smb_host']).toBe('');
  });

  it('asks for a private key where one is stored', () => {
    const sftp = (secrets: Record<string, boolean>) =>
      valuesOf(filled({ type: 'sftp', config: {}, secrets, path: '' }).find(({ type }) => type === 'sftp'))[
        'sftp_auth'
      ];
    expect([sftp({ private_key: true }), sftp({ pass: true }), sftp({})]).toEqual(['key', 'password', 'password']);
  });

  it('never holds a secret', () => {
    const config = { host: 'h', user: 'u', pass: 'hunter2' };
    const text = JSON.stringify(filled({ type: 'smb', config, secrets: { pass: true }, path: '' }));
    expect(text).not.toContain('hunter2');
    expect(text).toContain('"stored":true');
  });
});

import { sourceTypes, type SourceTypeName } from '../../sources/registry.ts';
import { forms } from './source-forms.ts';

/** One field of a source in the job form. What it may hold is said by the type's own schema (src/sources). */
export interface SourceField {
  /** Of the input: `sftp_host`. */
  readonly name: string;
  /** Inside of `source_config`; '' = only for the form itself. */
  readonly setting: string;
  readonly label: string;
  readonly size: '' | 'half' | 'third' | 'two-thirds';
  readonly input: 'text' | 'number' | 'url' | 'secret' | 'lines' | 'pem' | 'choice' | 'radio' | 'connection';
  readonly hint: string;
  /** Value and label: of a choice, or suggestions for a text. */
  readonly options: readonly (readonly [value: string, label: string])[];
  /** What a new job begins with. */
  readonly value: string;
  /** It shows, and is sent, only while another field of the form has one of these values; styles/forms.css knows the class. */
  readonly when: { readonly name: string; readonly values: readonly string[]; readonly css: string } | null;
}

export interface SourceForm {
  readonly type: SourceTypeName;
  readonly title: string;
  readonly text: string;
  readonly fields: readonly SourceField[];
  /** Where in the source: every type has one. */
  readonly path: {
    readonly name: string;
    readonly label: string;
    readonly hint: string;
    readonly size: SourceField['size'];
  };
  /** Type of the connection that a job of this type chooses. */
  readonly connection: 'google_drive' | 'dropbox' | null;
}

/** The parts of the form, one for each source type that is built, in the order of the choices. */
export const sourceForms: readonly SourceForm[] = forms.filter((form) =>
  sourceTypes.some((type) => type.name === form.type),
);

/** What a field holds when the form opens. `stored`: a secret is there, and stays while the field is blank. */
export interface ShownField extends SourceField {
  readonly stored: boolean;
}

/**
 * The parts of the form, filled for the type of the job.
 * @param source what is stored, without secrets, and which secrets there are
 */
export function filledForms(source: {
  readonly type: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly secrets: Readonly<Record<string, boolean>>;
  readonly path: string;
}): object[] {
  return sourceForms.map((form) => {
    const own = form.type === source.type;
    const fields = form.fields.map((one): ShownField => {
      if (!own || !isMeant(one, form, source.config)) return { ...one, stored: false };
      const stored = one.setting !== '' && source.secrets[one.setting] === true;
      return { ...one, stored, value: valueOf(one, source) };
    });
    return { ...form, chosen: own, fields, path: { ...form.path, value: own ? source.path : '' } };
  });
}

/** Of fields for the same setting, that one which belongs to the choice that is stored. */
function isMeant(one: SourceField, form: SourceForm, config: Readonly<Record<string, unknown>>): boolean {
  const choice = form.fields.find(({ name }) => name === one.when?.name);
  if (one.when === null || choice === undefined || choice.setting === '') return true;
  return one.when.values.includes(String(config[choice.setting]));
}

function valueOf(one: SourceField, source: Parameters<typeof filledForms>[0]): string {
  if (one.name === 'sftp_auth')
    return source.secrets['private_key'] === true && source.secrets['pass'] !== true ? 'key' : 'password';
  if (one.setting === '' || one.input === 'secret' || one.input === 'lines') return one.value;
  const value = source.config[one.setting];
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : one.value;
}

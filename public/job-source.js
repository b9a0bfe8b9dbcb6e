/** The part of a job's form that is about its source: what is sent of it, what is wrong with it, and how it reads in one line. */
const valueOf = (form, name) => {
  const field = form.elements[name];
  return field === undefined || field === null ? '' : String(field.value).trim();
};

/** The part that belongs to the chosen type. */
function partOf(form) {
  return form.querySelector(`[data-source="${valueOf(form, 'source_type')}"]`);
}

/** False for a field that belongs to another choice than the one that was made: another way to sign in, another protocol. */
function isMeant(form, input) {
  const block = input.closest('[data-when]');
  if (block && !block.dataset.values.split(' ').includes(valueOf(form, block.dataset.when))) return false;
  return input.type !== 'radio' || input.checked;
}

/** What the API wants to know of the source. */
function fieldsOf(form) {
  const part = partOf(form);
  const config = {};
  for (const input of part.querySelectorAll('[data-config]')) {
    if (input.dataset.config === '' || !isMeant(form, input)) continue;
    // Secrets are taken as they are: blanks at their ends may belong to them.
    config[input.dataset.config] =
      input.type === 'checkbox' ? input.checked : input.dataset.secret === undefined ? input.value.trim() : input.value;
  }
  return new URLSearchParams({
    source_type: valueOf(form, 'source_type'),
    source_config: JSON.stringify(config),
    source_path: pathOf(form).value,
  });
}

const pathOf = (form) => partOf(form).querySelector('[data-path]');

/** Where something is said about a field of the answer: by the name of the setting inside source_config, or null. */
function placeFor(form, name) {
  if (name === 'source_path') return pathOf(form).closest('[data-field]');
  const setting = name.replace(/^source_config\.?/, '');
  const inputs = [...partOf(form).querySelectorAll('[data-config]')].filter(
    (input) => input.dataset.config === setting,
  );
  const input = inputs.find((one) => isMeant(form, one)) ?? inputs[0];
  // Of a password that is not asked for, because a key is: said where the key is.
  if (input && !isMeant(form, input) && setting === 'pass') return placeFor(form, 'private_key');
  return input?.closest('[data-field]') ?? null;
}

/** Lines such as `SFTP backup@files.example.com /var/www`, each by its type; `value` gives a field of it, `folder` the path after a slash. */
const lines = {
  s3_compatible: ({ value, folder }) => {
    const host = value('endpoint')
      .replace(/^https?:\/\//, '')
      .replace(/\/.*$/, '');
    const on = host === '' ? '' : ` on ${host}`;
    return value('bucket') === '' ? 'A bucket on an S3 server' : `${value('bucket')}${folder}${on}`;
  },
  aws: ({ value, folder }) => (value('bucket') === '' ? 'A bucket at AWS' : `AWS ${value('bucket')}${folder}`),
  sftp: ({ value, path }) => {
    if (value('host') === '') return 'A folder on a server, by SFTP';
    const user = value('user') === '' ? '' : `${value('user')}@`;
    const port = value('port') === '22' || value('port') === '' ? '' : `:${value('port')}`;
    return `SFTP ${user}${value('host')}${port}${path === '' ? '' : ` ${path}`}`;
  },
};

function textOf(form) {
  const part = partOf(form);
  const value = (setting) => {
    const inputs = [...part.querySelectorAll('[data-config]')].filter((one) => one.dataset.config === setting);
    const input = inputs.find((one) => isMeant(form, one));
    return input ? input.value.trim() : '';
  };
  const path = pathOf(form).value.trim();
  const folder = path === '' ? '' : `/${path.replace(/^\/+/, '')}`;
  return lines[part.dataset.source]?.({ value, path, folder }) ?? '';
}

window.e3.jobSource = { fieldsOf, pathOf, placeFor, textOf };

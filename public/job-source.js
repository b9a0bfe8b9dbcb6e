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

const smbLine = ({ value, folder }) =>
  value('host') === ''
    ? 'A share of Windows or Samba'
    : `\\\\${value('host')}\\${value('share')}${folder.replaceAll('/', '\\')}`;

const webdavLine = ({ value, folder }) =>
  value('url') === ''
    ? 'A WebDAV server'
    : `WebDAV ${value('url')
        .replace(/^https?:\/\//, '')
        .replace(/\/+$/, '')}${folder}`;

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
  smb: smbLine,
  webdav: webdavLine,
  nas: (source) => {
    const { value, path } = source;
    if (value('host') === '' && value('url') === '') return 'A folder on a NAS';
    if (value('protocol') === 'smb') return smbLine(source);
    if (value('protocol') === 'webdav') return webdavLine(source);
    const scheme = value('encryption') === 'none' ? 'FTP' : 'FTPS';
    return `${scheme} ${value('host')}${path === '' ? '' : ` ${path}`}`;
  },
  google_drive: ({ value, folder }) => {
    const drive = value('team_drive') === '' ? 'My Drive' : 'a shared drive';
    const root = value('root_folder_id') === '' ? '' : ', a chosen folder';
    return `Google Drive: ${drive}${root}${folder}`;
  },
  dropbox: ({ folder }) => `Dropbox${folder}`,
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

/** The source as it stands in the form; `job_id` lets secrets that are stored stand in for blank ones. */
function askedFields(form) {
  const fields = fieldsOf(form);
  const job = form.elements.job_id;
  if (job) fields.set('job_id', job.value);
  return fields;
}

/** `/var/www` → Start, `/var`, `/var/www`; `photos/2024` → Start, `photos`, `photos/2024` */
function stepsTo(path) {
  const ends = [...path.matchAll(/\//g)].map(({ index }) => index).filter((index) => index > 0);
  const steps = [...ends.map((end) => path.slice(0, end)), path].filter((step) => step !== '' && step !== '/');
  return [
    { name: 'Start', at: '' },
    ...steps.map((step) => ({ name: step.slice(step.lastIndexOf('/') + 1), at: step })),
  ];
}

/** A worker lists the folders. `path` is as the field of the form holds it, '' where the source begins. */
async function browseByPath(form, told) {
  const path = pathOf(form);
  const chosen = await window.e3.pickFolder(stepsTo(path.value.trim()), async (at) => {
    const fields = askedFields(form);
    fields.delete('source_path');
    fields.set('path', at);
    const answer = await window.e3.send(form.dataset.folders, fields);
    // Something of the form is missing or wrong: it is said there.
    if (answer.fields && told(answer)) document.getElementById('folder-picker').close();
    return { ...answer, folders: answer.folders?.map(({ name, path: folder }) => ({ name, at: folder })) };
  });
  if (chosen !== undefined) path.value = chosen;
}

const MY_DRIVE = { name: 'My Drive', at: { drive: '', folder: '' } };

/** Google Drive: folders by their ids, which stay when somebody renames or moves them. */
async function browseDrive(form, told) {
  const [account, drive, folder] = ['connection', 'team_drive', 'root_folder_id'].map((setting) =>
    partOf(form).querySelector(`[data-config="${setting}"]`),
  );
  if (account.value === '') {
    told({ fields: { connection: 'choose a connected account' } });
    return;
  }
  const ask = async (at) => {
    const fields = new URLSearchParams({ source_connection_id: account.value, pageSize: '200' });
    fields.set('mode', at === null ? 'drives' : 'children');
    if (at?.drive) fields.set('driveId', at.drive);
    if (at?.folder) fields.set('parentId', at.folder);
    const answer = await window.e3.ask(form.dataset.drive, fields);
    const found = answer.items?.map(({ id, name }) =>
      at === null ? { name, at: { drive: id, folder: '' } } : { name, at: { drive: at.drive, folder: id } },
    );
    const folders = at === null && found ? [MY_DRIVE, ...found] : found;
    return { ...answer, folders, truncated: Boolean(answer.nextPageToken) };
  };
  const chosen = await window.e3.pickFolder([{ name: 'Google Drive', at: null }], ask);
  if (chosen === undefined) return;
  drive.value = chosen?.drive ?? '';
  folder.value = chosen?.folder ?? '';
  pathOf(form).value = '';
}

/** Lets a folder of the source be chosen and puts it into the form. @param told says beside the fields what is wrong with them */
async function browse(form, told) {
  const part = partOf(form);
  if (part.dataset.source === 'google_drive') await browseDrive(form, told);
  else await browseByPath(form, told);
  // While the dialog was open no field could take the focus.
  (form.querySelector('[aria-invalid="true"]') ?? part.querySelector('[data-browse]')).focus();
}

window.e3.jobSource = { askedFields, browse, fieldsOf, placeFor, textOf };

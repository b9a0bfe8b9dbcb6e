/**
 * The form of a job: a summary that follows the fields, the connection test, the choice of a folder, and sending it. Showing and hiding fields is the
 * style sheet's work; what is hidden is not sent.
 */
const source = window.e3.jobSource;
const DAYS = ['Mondays', 'Tuesdays', 'Wednesdays', 'Thursdays', 'Fridays', 'Saturdays', 'Sundays'];

function jobForm() {
  return {
    from: '',
    to: '',
    stored: '',
    when: '',
    keep: '',
    mail: '',
    problem: '',
    testing: false,
    saving: false,

    init() {
      const zone = this.$root.querySelector('[data-guess]');
      if (zone) guessZone(zone);
      this.refresh();
    },

    refresh() {
      const form = this.$root;
      this.problem = '';
      this.from = source.textOf(form);
      this.to = toText(form);
      this.stored = storedText(form);
      this.when = whenText(form);
      this.keep = keepText(form);
      this.mail = mailText(form);
    },

    async test() {
      if (this.testing) return;
      const form = this.$root;
      clearProblems(form);
      this.testing = true;
      const answer = await window.e3.send(form.dataset.test, source.askedFields(form));
      this.testing = false;
      showTest(form, answer);
    },

    async browse() {
      const form = this.$root;
      clearProblems(form);
      await source.browse(form, (answer) => showProblems(form, answer));
      this.refresh();
    },

    async save() {
      if (this.saving) return;
      const form = this.$root;
      clearProblems(form);
      this.problem = '';
      this.saving = true;
      const answer = await window.e3.send(form.action, allFields(form));
      if (answer.status === 'success') {
        const id = answer.job_id ?? form.elements.job_id.value;
        location.assign(form.dataset.done + encodeURIComponent(id));
        return;
      }
      this.saving = false;
      this.problem = showProblems(form, answer) ? 'Some fields need another look.' : String(answer.message);
    },
  };
}

document.addEventListener('alpine:init', () => Alpine.data('jobForm', jobForm));

/** Where the account has no time zone, that of the viewer is the better guess than that of the server. */
function guessZone(input) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone || zone === input.value) return;
  input.value = zone;
  input.dispatchEvent(new Event('input', { bubbles: true }));
}

const valueOf = (form, name) => {
  const field = form.elements[name];
  return field === undefined || field === null ? '' : String(field.value).trim();
};
const checked = (form, name) => form.querySelector(`[name="${name}"]`)?.checked === true;

function allFields(form) {
  const fields = source.fieldsOf(form);
  const put = (name) => fields.set(name, valueOf(form, name));
  for (const name of ['name', 'job_id', 'timezone']) if (form.elements[name]) put(name);
  const bucket = form.elements.dest_bucket_id;
  if (bucket && !bucket.disabled) {
    put('dest_bucket_id');
    fields.set('dest_prefix', form.elements.dest_prefix.value);
  }
  // Fixed since the first run: what is not sent stays.
  if (!form.querySelector('[name="encryption_enabled"]').disabled) {
    put('backup_mode');
    fields.set('encryption_enabled', checked(form, 'encryption_enabled') ? '1' : '0');
  }
  const type = valueOf(form, 'schedule_type');
  fields.set('schedule_type', type);
  fields.set('schedule_time', type === 'daily' || type === 'weekly' ? valueOf(form, 'schedule_time') : '');
  fields.set('schedule_minute', type === 'hourly' ? valueOf(form, 'schedule_minute') : '');
  fields.set('schedule_cron', type === 'cron' ? valueOf(form, 'schedule_cron') : '');
  fields.set('schedule_weekday', '');
  fields.set('schedule_json', JSON.stringify({ type, weekdays: weekdays(form) }));
  fields.set('validation_mode', checked(form, 'validation_mode') ? 'post_run' : 'none');
  for (const name of ['validation_every_days', 'drill_every_days']) put(name);
  const keep = valueOf(form, 'retention_mode');
  fields.set('retention_mode', keep);
  fields.set('retention_value', keep === 'keep_last_n' || keep === 'keep_days' ? valueOf(form, 'retention_value') : '');
  fields.set('retention_json', keep === 'tiers' ? JSON.stringify(tiers(form)) : '');
  const own = valueOf(form, 'mails') === 'own';
  for (const name of ['notify_on_success', 'notify_on_warning', 'notify_on_failure']) {
    fields.set(name, own ? (checked(form, name) ? '1' : '0') : '');
  }
  fields.set('notify_override_email', own ? valueOf(form, 'notify_override_email') : '');
  return fields;
}

function weekdays(form) {
  return [...form.querySelectorAll('[name="weekday"]:checked')].map((box) => Number(box.value));
}

const TIERS = { hourly: 'hours', daily: 'days', weekly: 'weeks', monthly: 'months', yearly: 'years' };

/** Numbers as they were typed: what is none is told by the answer. */
function tiers(form) {
  return Object.fromEntries(Object.keys(TIERS).map((name) => [name, valueOf(form, `tier_${name}`) || '0']));
}

function keepText(form) {
  const value = valueOf(form, 'retention_value');
  switch (valueOf(form, 'retention_mode')) {
    case 'keep_last_n':
      return `The last ${value || '…'} restore points`;
    case 'keep_days':
      return `Restore points of the last ${value || '…'} days`;
    case 'tiers': {
      const kept = Object.entries(tiers(form)).filter(([, count]) => Number(count) > 0);
      return kept.length === 0
        ? 'No number chosen yet'
        : `The newest of the last ${kept.map(([name, count]) => `${count} ${TIERS[name]}`).join(', ')}`;
    }
    default:
      return 'Everything';
  }
}

function storedText(form) {
  const how = valueOf(form, 'backup_mode') === 'archive' ? 'One archive each run' : 'File by file';
  return checked(form, 'encryption_enabled') ? `${how}, encrypted` : how;
}

function toText(form) {
  const bucket = form.elements.dest_bucket_id;
  const name = bucket?.selectedOptions?.[0]?.textContent ?? '';
  if (name === '') return 'No bucket yet';
  const folder = valueOf(form, 'dest_prefix');
  return folder === '' ? `${name}, in a folder of its own` : `${name}/${folder}`;
}

function whenText(form) {
  const zone = valueOf(form, 'timezone');
  const time = valueOf(form, 'schedule_time');
  switch (valueOf(form, 'schedule_type')) {
    case 'manual':
      return 'Only when you start it';
    case 'hourly':
      return `Every hour, at minute ${valueOf(form, 'schedule_minute')}`;
    case 'daily':
      return `Every day at ${time} (${zone})`;
    case 'weekly': {
      const names = weekdays(form).map((number) => DAYS[number - 1]);
      const days = names.length === 7 ? 'Every day' : names.length === 0 ? 'No day chosen yet' : names.join(', ');
      return `${days}, at ${time} (${zone})`;
    }
    default:
      return `${valueOf(form, 'schedule_cron') || 'No expression yet'} (${zone})`;
  }
}

function mailText(form) {
  if (valueOf(form, 'mails') !== 'own') return 'As in the settings of the account';
  const on = ['failure', 'warning', 'success'].filter((kind) => checked(form, `notify_on_${kind}`));
  if (on.length === 0) return 'None';
  const to = valueOf(form, 'notify_override_email');
  return `On ${on.join(', ')}${to === '' ? '' : `, to ${to}`}`;
}

const fieldFor = (form, name) =>
  source.placeFor(form, name) ?? form.querySelector(`[data-field="${CSS.escape(name)}"]`);
const showProblems = (form, answer) => window.e3.showProblems(form, answer.fields, (name) => fieldFor(form, name));

function clearProblems(form) {
  window.e3.showProblems(form, {});
  form.querySelector('#test-result').replaceChildren();
}

function showTest(form, answer) {
  const failed = answer.status !== 'success' || answer.ok === false;
  if (failed && answer.fields && showProblems(form, answer)) return;
  const shown = document.getElementById(failed ? 'test-failed' : 'test-good').content.cloneNode(true);
  const put = (selector, text) => (shown.querySelector(selector).textContent = text);
  put('[data-message]', answer.problem?.what ?? answer.message);
  if (failed) put('[data-action]', answer.problem?.action ?? '');
  else if (answer.sample?.length > 0) put('[data-sample]', answer.sample.join(', '));
  else shown.querySelector('[data-sample-line]').remove();
  if (answer.host_key) put('[data-key]', answer.host_key);
  else shown.querySelector('[data-key-line]').remove();
  form.querySelector('#test-result').replaceChildren(shown);
}

/**
 * Chooses a folder of a source: a worker lists it, one level at a time. What is asked for and what comes back are paths as the field
 * of the form holds them; '' is where the source begins.
 */
const dialog = () => document.getElementById('folder-picker');
const copyOf = (name) => document.getElementById(name).content.cloneNode(true);

/** `/var/www` → `['', '/var', '/var/www']`; `photos/2024` → `['', 'photos', 'photos/2024']` */
function stepsTo(path) {
  const steps = [''];
  for (let end = path.indexOf('/', 1); end > 0; end = path.indexOf('/', end + 1)) steps.push(path.slice(0, end));
  if (path !== '' && path !== '/') steps.push(path);
  return steps;
}

function showSteps(box, path, open) {
  const buttons = stepsTo(path).flatMap((step, index, all) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'picker-step';
    button.textContent = step === '' ? 'Start' : step.slice(step.lastIndexOf('/') + 1);
    if (index === all.length - 1) button.setAttribute('aria-current', 'true');
    else button.addEventListener('click', () => open(step));
    const slash = document.createElement('span');
    slash.setAttribute('aria-hidden', 'true');
    slash.textContent = '/';
    return index === 0 ? [button] : [slash, button];
  });
  box.querySelector('.picker-path').replaceChildren(...buttons);
}

function folderList(folders, open) {
  const list = document.createElement('ul');
  for (const folder of folders) {
    const item = copyOf('picker-folder');
    item.querySelector('[data-name]').textContent = folder.name;
    item.querySelector('button').addEventListener('click', () => open(folder.path));
    list.append(item);
  }
  return list;
}

function showAnswer(place, answer, open) {
  if (answer.status !== 'success' || answer.ok === false) {
    const failed = copyOf('picker-failed');
    failed.querySelector('[data-message]').textContent = answer.problem?.what ?? answer.message;
    failed.querySelector('[data-action]').textContent = answer.problem?.action ?? '';
    place.replaceChildren(failed);
    return;
  }
  if (answer.folders.length === 0) place.replaceChildren(copyOf('picker-empty'));
  else place.replaceChildren(folderList(answer.folders, open));
  if (answer.truncated) place.append(copyOf('picker-more'));
}

/**
 * @param {string} start folder to begin with
 * @param {(path: string) => Promise<Record<string, any>>} ask answers `{ folders: [{ name, path }], truncated }`, or a problem
 * @returns {Promise<string | null>} the chosen folder; null: none was chosen
 */
function pickFolder(start, ask) {
  const box = dialog();
  const place = box.querySelector('.picker-list');
  let here = start;
  let asked = 0;

  async function open(path) {
    here = path;
    asked += 1;
    const mine = asked;
    showSteps(box, path, open);
    place.replaceChildren(copyOf('picker-waits'));
    box.querySelector('[data-choose]').focus();
    const answer = await ask(path);
    // Somebody has gone on, or closed the dialog: this answer is for a folder that nobody looks at any more.
    if (mine !== asked || !box.open) return;
    showAnswer(place, answer, open);
    place.querySelector('button')?.focus();
  }

  return new Promise((resolve) => {
    const finished = new AbortController();
    const { signal } = finished;
    let chosen = null;
    const choose = () => {
      chosen = here;
      box.close();
    };
    box.querySelector('[data-choose]').addEventListener('click', choose, { signal });
    box.querySelector('[data-close]').addEventListener('click', () => box.close(), { signal });
    box.addEventListener(
      'close',
      () => {
        finished.abort();
        resolve(chosen);
      },
      { signal },
    );
    box.showModal();
    void open(start);
  });
}

window.e3.pickFolder = pickFolder;

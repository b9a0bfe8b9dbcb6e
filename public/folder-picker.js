/**
 * Chooses a folder of a source, one level at a time.
 */
const copyOf = (name) => document.getElementById(name).content.cloneNode(true);

function showSteps(box, steps, open) {
  const buttons = steps.flatMap(({ name }, index) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'picker-step';
    button.textContent = name;
    if (index === steps.length - 1) button.setAttribute('aria-current', 'true');
    else button.addEventListener('click', () => open(steps.slice(0, index + 1)));
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
    item.querySelector('button').addEventListener('click', () => open(folder));
    list.append(item);
  }
  return list;
}

function showAnswer(box, place, answer, open) {
  const failed = answer.status !== 'success' || answer.ok === false;
  box.querySelector('[data-choose]').disabled = failed;
  if (failed) {
    const banner = copyOf('picker-failed');
    banner.querySelector('[data-message]').textContent = answer.problem?.what ?? answer.message;
    banner.querySelector('[data-action]').textContent = answer.problem?.action ?? '';
    place.replaceChildren(banner);
    box.querySelector('[data-close]').focus();
    return;
  }
  if (answer.folders.length === 0) place.replaceChildren(copyOf('picker-empty'));
  else place.replaceChildren(folderList(answer.folders, open));
  if (answer.truncated) place.append(copyOf('picker-more'));
}

/**
 * @typedef {{ name: string, at: any }} Folder `at`: what `ask` knows it by
 * @param {Folder[]} start the folder to begin with, after those that it lies in
 * @param {(at: any) => Promise<Record<string, any>>} ask answers `{ folders: Folder[], truncated }`, or a problem
 * @returns {Promise<any>} `at` of the chosen folder; undefined: none was chosen
 */
function pickFolder(start, ask) {
  const box = document.getElementById('folder-picker');
  const place = box.querySelector('.picker-list');
  let here = start;
  let asked = 0;

  async function open(steps) {
    here = steps;
    asked += 1;
    const mine = asked;
    showSteps(box, steps, open);
    place.replaceChildren(copyOf('picker-waits'));
    const choose = box.querySelector('[data-choose]');
    choose.disabled = false;
    choose.focus();
    const answer = await ask(steps.at(-1).at);
    // Somebody has gone on, or closed the dialog: this answer is for a folder that nobody looks at any more.
    if (mine !== asked || !box.open) return;
    showAnswer(box, place, answer, (folder) => open([...steps, folder]));
    place.querySelector('button')?.focus();
  }

  return new Promise((resolve) => {
    const finished = new AbortController();
    const { signal } = finished;
    let chosen;
    const choose = () => {
      chosen = here.at(-1).at;
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

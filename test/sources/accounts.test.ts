import { sourceContract, type SourceUnderTest } from '../contract/source.ts';
import { openConnectedWorld } from './connected.ts';

const isText = (name: Buffer): boolean => Buffer.from(name.toString()).equals(name);

sourceContract(
  'Google Drive',
  async (): Promise<SourceUnderTest> => {
    const world = await openConnectedWorld();
    const { google } = world.fake;
    const connection = await world.connect('google_drive');
    const place = google.folder('place');
    const folders = new Map([['', place]]);
    const folderAt = (path: string): string => {
      const known = folders.get(path);
      if (known !== undefined) return known;
      const slash = path.lastIndexOf('/');
      const made = google.folder(path.slice(slash + 1), folderAt(slash === -1 ? '' : path.slice(0, slash)));
      folders.set(path, made);
      return made;
    };
    return {
      type: 'google_drive',
      config: { connection },
      path: 'place',
      md5: true,
      shows: isText,
      put(path, content) {
        const slash = path.lastIndexOf('/');
        const parent = folderAt(slash === -1 ? '' : path.subarray(0, slash).toString());
        const modifiedTime = new Date().toISOString();
        const name = path.subarray(slash + 1).toString();
        for (const [id, item] of google.items)
          if (item.name === name && item.parents.includes(parent)) google.items.delete(id);
        google.file(name, content, parent, { modifiedTime });
      },
      digest: () => JSON.stringify([...google.items.values()]),
      missing: { path: 'nowhere', code: 'ERR_SOURCE_NOT_FOUND' },
      define: async ({ type, config, path }) => await world.define(type, config, path),
      stop: async () => await world.close(),
    };
  },
  { byAccount: true },
);

sourceContract(
  'Dropbox',
  async (): Promise<SourceUnderTest> => {
    const world = await openConnectedWorld();
    const { dropbox } = world.fake;
    const connection = await world.connect('dropbox');
    return {
      type: 'dropbox',
      config: { connection },
      path: 'place',
      md5: false,
      shows: isText,
      put(path, content) {
        const client_modified = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
        dropbox.file(`/place/${path.toString()}`, content, { client_modified });
      },
      digest: () => JSON.stringify([...dropbox.entries.values()]),
      missing: { path: 'nowhere', code: 'ERR_SOURCE_NOT_FOUND' },
      define: async ({ type, config, path }) => await world.define(type, config, path),
      stop: async () => await world.close(),
    };
  },
  { byAccount: true, foldsCase: true },
);

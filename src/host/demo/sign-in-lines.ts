import { ADA, ADMIN, GRACE } from './seed.ts';
import type { Demo } from './start.ts';

/** What somebody at the terminal needs: where the portal is, and how to sign in. */
export function describeDemo(demo: Pick<Demo, 'portal' | 'address' | 'secrets' | 'folder'>): string {
  const { ada, grace, admin } = demo.secrets.passwords;
  return `
  e3 Cloud Backup is running.

  Customer   ${demo.address}
             ${ADA}    password  ${ada}
             ${GRACE}  password  ${grace}

  Admin      ${demo.address}/admin
             ${ADMIN}               password  ${admin}

  Data       ${demo.folder.root}

  Ctrl-C stops everything.

`;
}

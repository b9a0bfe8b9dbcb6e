import { NOTHING_CHANGED, UNTOUCHED, type ErrorEntry } from '../entry.ts';

/** What is told in a terminal. */
export const setupErrors = {
  ERR_USAGE: {
    what: 'The command line is not understood.',
    data: NOTHING_CHANGED,
    action: 'Run the command with --help to see what can be given.',
  },
  ERR_CONFIG_INVALID: {
    what: 'The configuration is not valid.',
    data: NOTHING_CHANGED,
    action: 'Correct every line that is named.',
  },
  ERR_SCHEMA_FOREIGN: {
    what: 'The database holds a table with one of our names that we did not make.',
    data: 'Nothing was altered.',
    action: 'Use another database, or rename the table that is named.',
  },
  ERR_SCHEMA_OLD: {
    what: 'The tables of the database are older than this program.',
    data: NOTHING_CHANGED,
    action: 'Run bin/migrate.',
  },
  ERR_DATABASE_UNREACHABLE: {
    status: 503,
    what: 'The database cannot be reached.',
    data: UNTOUCHED,
    action: 'Check that it runs and that host, user and password are right.',
    transient: true,
  },
  ERR_TOOL_MISSING: {
    what: 'A program that is needed is missing.',
    data: NOTHING_CHANGED,
    action: 'Install what the message names, then start again.',
  },
  ERR_TOOL_WRONG: {
    what: 'A program has another version or hash than it should have.',
    data: NOTHING_CHANGED,
    action: 'Remove the file that is named and start again; it is fetched anew.',
  },
  ERR_PORT_IN_USE: {
    what: 'The port is in use by another program.',
    data: NOTHING_CHANGED,
    action: 'Choose another port with --port.',
  },
  ERR_DATA_DIR: {
    what: 'The data folder cannot be written.',
    data: NOTHING_CHANGED,
    action: 'Choose another folder with --data-dir, or give this user the right to write it.',
  },
  ERR_DATA_DIR_LOCKED: {
    what: 'The data folder is in use by another start of the same program.',
    data: NOTHING_CHANGED,
    action: 'Stop that one first, or choose another folder with --data-dir.',
  },
} as const satisfies Record<string, ErrorEntry>;

import { constants } from 'node:os';
import { inspect, parseArgs } from 'node:util';
import { toolVersions, packageVersion, type ToolName } from './engines/tools.ts';
import { BackupError, isBackupError } from './errors/backup-error.ts';

/** One option of an executable, as `--help` shows it and as `values` hands it out. */
export interface CommandOption {
  readonly type: 'string' | 'boolean';
  /** One letter. */
  readonly short?: string;
  /** What stands for the value in the help text, e.g. `port` gives `--port <port>`. Default: `value`. */
  readonly value?: string;
  readonly description: string;
  /** Only for options that take a value; shown in the help text. */
  readonly default?: string;
  /** The option must be given. */
  readonly required?: true;
  /** The option may be given several times; its value is an array. */
  readonly multiple?: true;
}

export type CommandOptions = Readonly<Record<string, CommandOption>>;

/** Booleans are false unless given; an optional string without default is undefined when it is not given. */
export type CommandValues<Options extends CommandOptions> = {
  readonly [Name in keyof Options]: Options[Name]['type'] extends 'boolean'
    ? boolean
    : Options[Name] extends { multiple: true }
      ? readonly string[]
      : Options[Name] extends { default: string } | { required: true }
        ? string
        : string | undefined;
};

export interface CommandPositional {
  readonly name: string;
  readonly description: string;
  readonly optional?: true;
}

export interface Executable<Options extends CommandOptions> {
  /** As the operator types it, without path: `worker`, `migrate`, `s3cloudbackup_scheduler`. */
  readonly name: string;
  /** One sentence: what it does. */
  readonly summary: string;
  /** More paragraphs for the end of the help text: exit codes, examples. */
  readonly notes?: string;
  readonly positionals?: readonly CommandPositional[];
  readonly options: Options;
  /** Tools whose versions `--version` names. Default: rclone. */
  readonly tools?: readonly ToolName[];
  /** Returns the exit code; nothing returned means 0. The process ends when it returns: close what must be closed before. */
  main(given: { values: CommandValues<Options>; positionals: readonly string[] }): Promise<number | void>;
}

const EVERYWHERE = {
  help: { type: 'boolean', short: 'h', description: 'Show this text' },
  version: { type: 'boolean', description: 'Show the version, and the versions of the tools' },
} as const satisfies CommandOptions;

/**
 * Runs an executable's main function with its parsed command line and ends the process.
 * `--help` and `--version` are answered here, on stdout. An error is one sentence with its code on stderr and exit code 1
 * (2 when the command line itself is wrong); the stack is shown only when `DEBUG` is set.
 */
export async function runExecutable<const Options extends CommandOptions>(
  executable: Executable<Options>,
  argv: readonly string[] = process.argv.slice(2),
): Promise<void> {
  process.once('uncaughtException', (error) => {
    process.exit(reportError(executable.name, error));
  });
  let exitCode: number;
  try {
    exitCode = await answer(executable, argv);
  } catch (error) {
    exitCode = reportError(executable.name, error);
  }
  // Ending here, not when the event loop is empty: a connection that somebody forgot must not turn an end into a hang.
  await Promise.all([drained(process.stdout), drained(process.stderr)]);
  process.exit(exitCode);
}

async function answer<Options extends CommandOptions>(
  executable: Executable<Options>,
  argv: readonly string[],
): Promise<number> {
  // Asked for by name anywhere before `--`, and answered even when the rest of the command line is wrong.
  const end = argv.indexOf('--');
  const asked = new Set(end < 0 ? argv : argv.slice(0, end));
  if (asked.has('--help') || asked.has('-h')) {
    process.stdout.write(helpText(executable));
    return 0;
  }
  if (asked.has('--version')) {
    process.stdout.write(versionText(executable));
    return 0;
  }
  return (await executable.main(parseCommandLine(executable, argv))) ?? 0;
}

/** Throws BackupError `ERR_USAGE` that names what is not understood. */
export function parseCommandLine<const Options extends CommandOptions>(
  executable: Pick<Executable<Options>, 'name' | 'options' | 'positionals'>,
  argv: readonly string[],
): { values: CommandValues<Options>; positionals: readonly string[] } {
  const wrong = (what: string): BackupError =>
    new BackupError('ERR_USAGE', `${what} Run ${executable.name} --help to see what can be given.`);
  const options = Object.entries<CommandOption>(executable.options);
  let parsed;
  try {
    parsed = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: Object.fromEntries(
        options.map(([name, option]) => [
          name,
          {
            type: option.type,
            multiple: option.multiple ?? false,
            ...(option.short === undefined ? {} : { short: option.short }),
          },
        ]),
      ),
    });
  } catch (error) {
    // Node adds advice on how to write positionals, which is rarely what was meant.
    throw wrong(firstSentence(error).split(/(?<=\.) /)[0] ?? '');
  }

  const values: Record<string, unknown> = {};
  for (const [name, option] of options) {
    const given = parsed.values[name];
    if (given === undefined && option.required) throw wrong(`The option --${name} is missing.`);
    values[name] = given ?? option.default ?? (option.type === 'boolean' ? false : option.multiple ? [] : undefined);
  }

  const places = executable.positionals ?? [];
  const missing = places.find((place, index) => !place.optional && parsed.positionals[index] === undefined);
  if (missing) throw wrong(`<${missing.name}> is missing.`);
  const extra = parsed.positionals[places.length];
  if (extra !== undefined) throw wrong(`'${extra}' is not expected here.`);
  return { values: values as CommandValues<Options>, positionals: parsed.positionals };
}

/** The text of `--help`, made from the option table. */
export function helpText(
  executable: Pick<Executable<CommandOptions>, 'name' | 'summary' | 'notes' | 'positionals' | 'options'>,
): string {
  const places = executable.positionals ?? [];
  const usage = places.map((place) => (place.optional ? `[${place.name}]` : `<${place.name}>`));
  const rows = [
    ...places.map((place) => [`  ${place.name}`, place.description]),
    ...Object.entries({ ...executable.options, ...EVERYWHERE }).map(([name, option]) => optionRow(name, option)),
  ] as [string, string][];
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return [
    `Usage: ${[executable.name, ...usage, '[options]'].join(' ')}`,
    '',
    executable.summary,
    '',
    ...rows.map(([left, right]) => left.padEnd(width) + right),
    ...(executable.notes === undefined ? [] : ['', executable.notes.trim()]),
    '',
  ].join('\n');
}

function optionRow(name: string, option: CommandOption): [string, string] {
  const short = option.short === undefined ? '    ' : `-${option.short}, `;
  const value = option.type === 'string' ? ` <${option.value ?? 'value'}>` : '';
  const remarks = [
    ...(option.required ? ['required'] : []),
    ...(option.multiple ? ['may be repeated'] : []),
    ...(option.default === undefined ? [] : [`default: ${option.default}`]),
  ];
  return [`  ${short}--${name}${value}`, option.description + (remarks.length === 0 ? '' : ` (${remarks.join(', ')})`)];
}

function versionText(executable: Pick<Executable<CommandOptions>, 'name' | 'tools'>): string {
  const tools = toolVersions(executable.tools ?? ['rclone']);
  return [
    `e3-cloudbackup ${packageVersion()} (${executable.name})`,
    `node ${process.versions.node}`,
    ...tools.map((tool) => `${tool.name} ${tool.version}${tool.installed ? '' : ' (not installed)'}`),
    '',
  ].join('\n');
}

/** Writes what the operator has to know to stderr and returns the exit code. */
function reportError(name: string, error: unknown): number {
  // The reader of our output went away (`… | head`): there is nobody to tell.
  if (systemCode(error) === 'EPIPE') return 0;
  const known = asBackupError(error);
  process.stderr.write(`${name}: ${known.message} [${known.code}]\n`);
  if (process.env['DEBUG']) process.stderr.write(`${inspect(error)}\n`);
  else if (known.code === 'ERR_INTERNAL') process.stderr.write('Set DEBUG=1 to see where it came from.\n');
  return known.code === 'ERR_USAGE' ? 2 : 1;
}

function asBackupError(error: unknown): BackupError {
  if (isBackupError(error)) return error;
  const system = systemCode(error);
  const options = { cause: error };
  if (system === 'ENOSPC' || system === 'EDQUOT') {
    return new BackupError(
      'ERR_DISK_FULL',
      `${systemPath(error)}: the disk is full. Free space there, then start again.`,
      options,
    );
  }
  if (system === 'EADDRINUSE') return new BackupError('ERR_PORT_IN_USE', undefined, options);
  return new BackupError('ERR_INTERNAL', firstSentence(error), options);
}

function systemCode(error: unknown): string | undefined {
  return textOf(error, 'code');
}

function systemPath(error: unknown): string {
  return textOf(error, 'path') ?? process.cwd();
}

function firstSentence(error: unknown): string {
  const line = messageOf(error).split('\n', 1)[0] ?? '';
  return /[.!?]$/.test(line) ? line : `${line}.`;
}

/** Without the statement that knex puts before what a database says: it holds the values, and those may be secrets. */
function messageOf(error: unknown): string {
  const message = textOf(error, 'message') ?? String(error);
  const said = textOf(error, 'sqlMessage');
  if (said !== undefined) return said;
  return systemCode(error)?.startsWith('SQLITE_') ? (message.split(' - ').at(-1) ?? message) : message;
}

// By shape, not by class: an error can come from another realm.
function textOf(error: unknown, key: 'message' | 'sqlMessage' | 'code' | 'path'): string | undefined {
  const value: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, key) : undefined;
  return typeof value === 'string' ? value : undefined;
}

function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableLength === 0) resolve();
    else stream.write('', () => resolve());
  });
}

/** Within this time, further signals are the same wish: Ctrl-C reaches a process from the terminal and again through npm. */
const SAME_WISH_MS = 1000;

/**
 * Aborts at the first SIGINT, SIGTERM or SIGHUP, and when the process that forked this one is gone, for executables that
 * stop gracefully. A second signal, later than a second after the first, ends the process at once.
 * Call it once; without it, signals act as usual.
 */
export function stopSignal(clock: () => number = Date.now): AbortSignal {
  const controller = new AbortController();
  let firstAt = 0;
  const stop = (signal: NodeJS.Signals): void => {
    if (!controller.signal.aborted) {
      firstAt = clock();
      controller.abort(signal);
    } else if (clock() - firstAt > SAME_WISH_MS) {
      process.exit(128 + constants.signals[signal]);
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  process.once('disconnect', () => controller.abort('disconnect'));
  return controller.signal;
}

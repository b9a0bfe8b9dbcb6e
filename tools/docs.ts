import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { endpoints } from '../api/index.ts';
import { packageRoot } from '../src/engines/tools.ts';
import { catalogue, type ErrorCode, type ErrorEntry } from '../src/errors/catalogue.ts';
import { commonErrors, type Endpoint } from '../src/http/endpoint.ts';

/**
 * The reference pages that are made from the code: `npm run docs:api` and `npm run docs:errors` write them, and a test holds the files
 * to what is made here.
 */
export const generated = {
  api: { file: 'docs/api.md', text: apiReference },
  errors: { file: 'docs/troubleshooting.md', text: troubleshooting },
} as const;

export function apiReference(): string {
  const groups = [
    ['Endpoints for customers', 'client'],
    ['Endpoints for operators', 'admin'],
  ] as const;
  return `${[
    '# API reference',
    '',
    'Made from `api/` by `npm run docs:api`; do not edit by hand.',
    '',
    'Every endpoint lies at `<mount path>/api/<name>`; `<name>.php` is the same. `GET` takes its parameters from the address and changes nothing. `POST` takes a form or a JSON object, and needs a CSRF token of the sign-in (header `X-CSRF-Token` or field `token`; pages have it in `<meta name="csrf-token">`) and a request from a page of the portal itself. Who asks is what the host says.',
    '',
    'An answer is `{"status": "success", …}` with status 200, or `{"status": "fail", "message": …, "code": …}` with the status of its code; `INVALID_INPUT`, `ERR_SOURCE_CONFIG` and `ERR_NOT_AVAILABLE` add `fields`, a sentence for each field that is wrong. What belongs to somebody else is answered exactly like what does not exist. Every answer has an `X-Request-Id`, and failures of the server repeat it as `request_id`.',
    '',
    'Identifiers are UUIDs; `run_uuid`, `job_uuid`, `agent_uuid` and `restore_point_id` may be written for `run_id`, `job_id`, `agent_id` and `point_id`. A time `x` comes as ISO 8601 in UTC and as `x_epoch_ms`. Sizes are bytes. Lists are paged: `next` of an answer is the `cursor` of the following page.',
    '',
    `Every endpoint may also answer with ${commonErrors.map(codeLink).join(', ')}.`,
    ...groups.flatMap(([title, caller]) => [
      '',
      `## ${title}`,
      ...endpoints.filter((endpoint) => endpoint.caller === caller).flatMap(endpointSection),
    ]),
  ].join('\n')}\n`;
}

function endpointSection(endpoint: Endpoint): string[] {
  const parameters = Object.entries(endpoint.input.shape);
  return [
    '',
    `### ${endpoint.method} ${endpoint.name}`,
    '',
    commentAbove(endpoint.name),
    '',
    ...(parameters.length === 0
      ? ['No parameters.']
      : [
          '| parameter | | value |',
          '|---|---|---|',
          ...parameters.map(([name, schema]) => parameterRow(name, schema)),
        ]),
    '',
    ...(endpoint.open === undefined
      ? [
          'Answer:',
          '',
          '```',
          shapeOf(z.toJSONSchema(endpoint.output, { io: 'output', unrepresentable: 'any' }) as JsonSchema),
          '```',
        ]
      : ['Answer: a file, streamed. Refusals are JSON; a failure after the file has begun cuts the connection.']),
    ...(endpoint.errors.length === 0 ? [] : ['', `Errors: ${endpoint.errors.map(codeLink).join(', ')}.`]),
  ];
}

/** The comment of the endpoint's file, as one paragraph. */
export function commentAbove(name: string): string {
  const source = readFileSync(join(packageRoot(), 'api', `${name}.ts`), 'utf8');
  const comment = /\/\*\*\s*([\s\S]*?)\s*\*\/\s*export default (?:e|downloadE)ndpoint\(/.exec(source)?.[1];
  if (comment === undefined) throw new Error(`api/${name}.ts has no comment above its endpoint`);
  return comment.replace(/(?:^|\s*\n)\s*\*\s?/g, ' ').trim();
}

function parameterRow(name: string, schema: unknown): string {
  const type = schema as z.ZodType;
  const required = type.safeParse(undefined).success ? '' : 'required';
  return `| \`${name}\` | ${required} | ${valueOf(type)} |`;
}

/** What a field takes, in a few words. */
function valueOf(type: z.ZodType): string {
  const json = z.toJSONSchema(type, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  const fallback = json.default === undefined ? '' : `; default \`${JSON.stringify(json.default)}\``;
  return `${wordsFor(json)}${fallback}`;
}

function wordsFor(json: JsonSchema): string {
  const options = json.anyOf ?? [];
  if (options.length > 0) return [...new Set(options.map(wordsFor))].filter((word) => word !== '').join(' or ');
  if (json.const !== undefined) return json.const === '' ? 'empty' : `\`${String(json.const)}\``;
  if (json.enum !== undefined) return json.enum.map((value) => `\`${String(value)}\``).join(', ');
  if (json.type === 'null') return 'null';
  if (json.type === 'array') return `list of ${wordsFor(json.items ?? {}) || 'anything'}`;
  if (json.type === 'string')
    return json.maxLength === undefined ? 'text' : `text of at most ${json.maxLength} characters`;
  if (json.type === 'object') return 'object';
  if (json.type !== undefined) return String(json.type);
  return 'JSON object, or its text';
}

interface JsonSchema {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly default?: unknown;
  readonly maxLength?: number;
}

/** An answer as a sketch of its JSON. */
function shapeOf(json: JsonSchema, indent = ''): string {
  if (json.anyOf !== undefined) return json.anyOf.map((option) => shapeOf(option, indent)).join(' | ');
  if (json.const !== undefined) return JSON.stringify(json.const);
  if (json.enum !== undefined) return json.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (json.type === 'array') return `[${shapeOf(json.items ?? {}, indent)} …]`;
  if (json.type === 'object') {
    const fields = Object.entries(json.properties ?? {});
    const values = json.additionalProperties;
    if (fields.length === 0) return `{ … : ${typeof values === 'object' ? shapeOf(values, indent) : 'any'} }`;
    const inner = `${indent}  `;
    return `{\n${fields.map(([name, field]) => `${inner}${name}: ${shapeOf(field, inner)}`).join('\n')}\n${indent}}`;
  }
  return json.type === 'integer' ? 'number' : (json.type ?? 'any');
}

function codeLink(code: ErrorCode): string {
  return `[\`${code}\`](troubleshooting.md#${code.toLowerCase()})`;
}

export function troubleshooting(): string {
  const entries = Object.entries<ErrorEntry>(catalogue);
  const groups = [
    ['Answers of the API', entries.filter(([code]) => !code.startsWith('ERR_'))],
    ['Runs, sources, storage and set-up', entries.filter(([code]) => code.startsWith('ERR_'))],
  ] as const;
  return `${[
    '# Troubleshooting by error code',
    '',
    'Made from `src/errors/codes/` by `npm run docs:errors`; do not edit by hand.',
    '',
    'Codes are stable. A page or a mail shows the same three sentences: what happened, what it means for the data, what to do. Operators find more in the logs of portal and worker, under the number of the request or run.',
    ...groups.flatMap(([title, codes]) => [
      '',
      `## ${title}`,
      ...codes.flatMap(([code, entry]) => errorSection(code, entry)),
    ]),
  ].join('\n')}\n`;
}

function errorSection(code: string, entry: ErrorEntry): string[] {
  const remarks = [
    ...(entry.status === undefined ? [] : [`HTTP status ${entry.status}.`]),
    ...(entry.transient === true ? ["A run that fails with it is tried again by itself, up to the job's limit."] : []),
  ];
  return [
    '',
    `### ${code}`,
    '',
    entry.what,
    '',
    `- Your data: ${entry.data}`,
    `- What to do: ${entry.action}`,
    ...(remarks.length === 0 ? [] : [`- ${remarks.join(' ')}`]),
  ];
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const wanted = process.argv.slice(2);
  for (const [name, { file, text }] of Object.entries(generated)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    writeFileSync(join(packageRoot(), file), text());
    console.log(`wrote ${file}`);
  }
}

/** Renders docs/reference/http-api.md from the OpenAPI document that the API serves. */

import { anchorOf, code, page, sentence, table } from './markdown.ts';

type Json = Record<string, unknown>;

const METHODS = ['get', 'put', 'post', 'delete'];

const INTRO = `The API accepts signals from programs that do not use the library. \`seek-signals api\` serves it, on port 3000 by default.

- **Format.** Requests and responses are JSON. The API serves its OpenAPI document at \`/openapi.json\`.
- **Authentication.** Send a key of [\`API_KEYS\`](configuration.md#api_keys) as \`Authorization: Bearer KEY\`. A key may be limited to the scopes \`enqueue\`, \`read\` and \`operate\`. Health, metrics and the OpenAPI document need no key.
- **Field names** of a signal are SEEK's own.
- **202 is a promise.** The API answers 202 only after the queue has acknowledged the write. [Delivery guarantees](delivery-guarantees.md) states what that includes.
- **Errors** have a \`message\`. A 422 also has \`invalidFields\`, which maps JSON pointers to problems. A 503 has a \`Retry-After\` header: repeat the request, and the API recognises a signal that it has already accepted.`;

export const renderHttpApi = (document: Json): string => {
  const operations = Object.entries(asJson(document.paths)).flatMap(([path, methods]) =>
    METHODS.flatMap((method) => {
      const operation = asJson(methods)[method];
      return operation === undefined ? [] : [{ method, path, operation: asJson(operation) }];
    }),
  );
  const schemas = Object.entries(asJson(asJson(document.components).schemas));
  const index = operations.map(({ method, path, operation }) => {
    const heading = `${method.toUpperCase()} ${path}`;
    return [`[${code(heading)}](#${anchorOf(heading)})`, sentence(cell(operation.summary))];
  });

  return page([
    '<!-- Generated from the OpenAPI document by `npm run docs:reference`. Do not edit. -->',
    '# HTTP API',
    INTRO,
    table(['call', 'what it does'], index),
    '## Calls',
    ...operations.map(renderOperation),
    '## Schemas',
    ...schemas.map(([name, schema]) => renderSchema(name, asJson(schema))),
  ]);
};

type Operation = { method: string; path: string; operation: Json };

const renderOperation = ({ method, path, operation }: Operation): string => {
  const parameters = asList(operation.parameters).map((parameter) => [
    code(String(parameter.name)),
    `${parameter.in}${parameter.required === true ? ', required' : ''}`,
    typeOf(asJson(parameter.schema)),
    describe(parameter.description, asJson(parameter.schema)),
  ]);
  const body = operation.requestBody;
  const responses = Object.entries(asJson(operation.responses)).map(([status, response]) => [
    status,
    cell(asJson(response).description),
    contentOf(asJson(response)),
  ]);

  return [
    `### ${code(`${method.toUpperCase()} ${path}`)}`,
    sentence(cell(operation.summary)),
    ...(operation.description === undefined ? [] : [String(operation.description)]),
    ...(parameters.length === 0
      ? []
      : [table(['parameter', 'in', 'type', 'description'], parameters)]),
    ...(body === undefined ? [] : [`**Request body:** ${contentOf(asJson(body))}`]),
    table(['status', 'meaning', 'body'], responses),
  ].join('\n\n');
};

const contentOf = ({ content }: Json): string =>
  Object.entries(asJson(content))
    .map(([type, media]) =>
      type === 'application/json' ? typeOf(asJson(asJson(media).schema)) : code(type),
    )
    .join(', ');

const renderSchema = (name: string, schema: Json): string => {
  const rows = rowsOf(schema, '');
  return [
    `### ${name}`,
    ...(schema.description === undefined ? [] : [String(schema.description)]),
    rows.length === 0
      ? `Type: ${typeOf(schema)}`
      : table(['field', 'type', 'required', 'description'], rows),
  ].join('\n\n');
};

/** One row per field. The fields of a nested object or list follow it, as `outer.inner`. */
const rowsOf = (schema: Json, prefix: string): string[][] => {
  const required = Array.isArray(schema.required) ? schema.required : [];
  return Object.entries(asJson(schema.properties)).flatMap(([name, value]) => {
    const field = asJson(value);
    const path = `${prefix}${name}`;
    const isRequired = required.includes(name);
    const row = [
      code(path),
      rowTypeOf(field),
      isRequired ? 'yes' : '',
      describe(field.description, field),
    ];
    const inner =
      field.type === 'array'
        ? rowsOf(asJson(field.items), `${path}[].`)
        : rowsOf(field, `${path}.`);
    return [row, ...inner];
  });
};

const typeOf = (schema: Json): string => {
  if (typeof schema.$ref === 'string') {
    const name = schema.$ref.split('/').at(-1) ?? '';
    return `[${name}](#${anchorOf(name)})`;
  }
  for (const choice of ['oneOf', 'anyOf']) {
    const choices = asList(schema[choice]);
    if (choices.length > 0) return choices.map(typeOf).join(' or ');
  }
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => code(String(value))).join(', ');
  if (schema.const !== undefined) return code(JSON.stringify(schema.const));
  if (schema.type === 'array') return `list of ${typeOf(asJson(schema.items))}`;
  if (schema.type === 'object') return objectType(schema);
  if (Array.isArray(schema.type)) return schema.type.join(' or ');
  return [schema.type ?? 'any', schema.format && `(${schema.format})`].filter(Boolean).join(' ');
};

const objectType = (schema: Json): string => {
  const { additionalProperties: values } = schema;
  const fields = Object.entries(asJson(schema.properties));
  if (fields.length > 0) {
    return `object { ${fields.map(([name, field]) => `${name}: ${typeOf(asJson(field))}`).join(', ')} }`;
  }
  return typeof values === 'object' ? `object of ${typeOf(asJson(values))}` : 'object';
};

/** The type of a field without its nested fields, which have their own rows. */
const rowTypeOf = (field: Json): string => {
  if (isObject(field)) return 'object';
  return field.type === 'array' && isObject(asJson(field.items))
    ? 'list of objects'
    : typeOf(field);
};

const isObject = ({ type, properties }: Json): boolean =>
  type === 'object' && properties !== undefined;

const BOUNDS = [
  ['minimum', 'at least'],
  ['maximum', 'at most'],
  ['minLength', 'characters, at least'],
  ['maxLength', 'characters, at most'],
  ['minItems', 'items, at least'],
  ['maxItems', 'items, at most'],
] as const;

const describe = (description: unknown, schema: Json): string =>
  [cell(description), boundsOf(schema)].filter((text) => text !== '').join(' ');

const boundsOf = (schema: Json): string => {
  const bounds = BOUNDS.filter(([name]) => {
    const bound = schema[name];
    return typeof bound === 'number' && Math.abs(bound) < Number.MAX_SAFE_INTEGER;
  }).map(([name, words]) => `${words} ${schema[name]}`);
  return bounds.length === 0 ? '' : `(${bounds.join('; ')})`;
};

const asJson = (value: unknown): Json =>
  typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};

const asList = (value: unknown): Json[] => (Array.isArray(value) ? value.map(asJson) : []);

const cell = (value: unknown): string =>
  value === undefined ? '' : String(value).replaceAll('|', '\\|').replaceAll('\n', ' ');

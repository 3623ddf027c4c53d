import { openApiDocument } from '../../../src/producer/api/openapi.ts';
import { isObject } from '../../../src/schemas/json.ts';

const refsIn = (value: unknown): string[] => {
  if (Array.isArray(value)) return value.flatMap(refsIn);
  if (!isObject(value)) return [];
  const own = typeof value.$ref === 'string' ? [value.$ref] : [];
  return [...own, ...Object.values(value).flatMap(refsIn)];
};

const schemasIn = (document: unknown): Record<string, unknown> => {
  const { schemas } = JSON.parse(JSON.stringify(document)).components;
  return isObject(schemas) ? schemas : {};
};

/** The object schemas that name a required property which they do not have. */
const withUnknownRequired = (value: unknown): unknown[] => {
  if (Array.isArray(value)) return value.flatMap(withUnknownRequired);
  if (!isObject(value)) return [];
  const { properties, required } = value;
  const isWrong =
    isObject(properties) &&
    Array.isArray(required) &&
    required.some((name) => !Object.hasOwn(properties, name));
  return [...(isWrong ? [value] : []), ...Object.values(value).flatMap(withUnknownRequired)];
};

describe('the OpenAPI document', () => {
  it('every $ref → names a schema of the document', () => {
    const names = Object.keys(schemasIn(openApiDocument));
    const refs = refsIn(openApiDocument).map((ref) => ref.replace('#/components/schemas/', ''));

    expect(refs.length).toBeGreaterThan(50);
    expect(refs.filter((name) => !names.includes(name))).toEqual([]);
  });

  it('every required property → is described', () => {
    expect(withUnknownRequired(JSON.parse(JSON.stringify(openApiDocument)))).toEqual([]);
  });
});

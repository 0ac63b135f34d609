import {
  type GraphQLArgument,
  GraphQLNonNull,
  type GraphQLObjectType,
  GraphQLUnionType,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isIntrospectionType,
  isObjectType,
  isSpecifiedScalarType,
} from 'graphql';
import { describe, expect, test } from 'vitest';
import { schema } from '../../schema/index.js';

const types = Object.values(schema.getTypeMap()).filter(
  (type) => !isIntrospectionType(type) && !isSpecifiedScalarType(type),
);

test('every type, field, argument and value is described', () => {
  const missing: string[] = [];
  for (const type of types) {
    if (!type.description) missing.push(type.name);
    if (isEnumType(type))
      missing.push(
        ...type
          .getValues()
          .filter((value) => !value.description)
          .map(({ name }) => `${type.name}.${name}`),
      );
    if (!isObjectType(type) && !isInterfaceType(type) && !isInputObjectType(type)) continue;
    for (const field of Object.values(type.getFields())) {
      if (!field.description) missing.push(`${type.name}.${field.name}`);
      const args: readonly GraphQLArgument[] = 'args' in field ? field.args : [];
      missing.push(...args.filter((arg) => !arg.description).map(({ name }) => `${type.name}.${field.name}(${name})`));
    }
  }
  expect(missing).toEqual([]);
});

describe.each(Object.values(schema.getMutationType()?.getFields() ?? {}))('mutation $name', (field) => {
  test('takes one required input', () => {
    expect(field.args.map(({ name }) => name)).toEqual(['input']);
    expect(field.args[0]?.type).toBeInstanceOf(GraphQLNonNull);
  });

  test('answers with a union of its payload and failures that implement Error', () => {
    const result = getNamedType(field.type);
    expect(result).toBeInstanceOf(GraphQLUnionType);
    const [payloads, failures] = [true, false].map((isPayload) =>
      (result as GraphQLUnionType).getTypes().filter(({ name }) => name.endsWith('Payload') === isPayload),
    ) as [GraphQLObjectType[], GraphQLObjectType[]];
    expect(payloads).toHaveLength(1);
    expect(failures.length).toBeGreaterThan(0);
    for (const failure of failures) expect(failure.getInterfaces().map(({ name }) => name)).toEqual(['Error']);
  });
});

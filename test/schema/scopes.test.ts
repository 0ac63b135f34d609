import { GraphQLObjectType } from 'graphql';
import { describe, expect, test } from 'vitest';
import { schema } from '../../schema/index.js';
import { openToRooms, scopeOf } from '../../schema/scopes.js';

const rootFields = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()].flatMap((type) =>
  type instanceof GraphQLObjectType ? Object.keys(type.getFields()).map((field) => `${type.name}.${field}`) : [],
);

describe('the table of scopes', () => {
  test.each(rootFields)('names the scope that %s needs', (field) => {
    expect(scopeOf).toHaveProperty([field]);
  });

  test.each(Object.keys(openToRooms))('opens to the tokens of rooms only what it guards: %s', (name) => {
    expect(scopeOf).toHaveProperty([name]);
  });

  test.each(Object.keys(scopeOf))('speaks of a field that exists: %s', (name) => {
    const [type, field] = name.split('.') as [string, string];
    const owner = schema.getType(type);
    expect(owner instanceof GraphQLObjectType && owner.getFields()[field]).toBeTruthy();
  });
});

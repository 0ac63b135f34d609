/** The schema builder and its plugins. Types are defined in the file of their domain. */
import SchemaBuilder from '@pothos/core';
import ComplexityPlugin from '@pothos/plugin-complexity';
import ErrorsPlugin from '@pothos/plugin-errors';
import PrismaPlugin from '@pothos/plugin-prisma';
import RelayPlugin from '@pothos/plugin-relay';
import ScopeAuthPlugin from '@pothos/plugin-scope-auth';
import type { AuthorizedContext, Context } from '../src/context.js';
import type PrismaTypes from '../src/generated/pothos.js';
import { getDatamodel } from '../src/generated/pothos.js';
import { forbidden, unauthenticated } from '../src/http/errors.js';
import { encodeId } from './ids.js';
import { defaultPageSize, maxPageSize, pageCost } from './pages.js';
import { type GuardedField, mayUse, scopeOf } from './scopes.js';

export const builder = new SchemaBuilder<{
  Context: Context;
  PrismaTypes: PrismaTypes;
  DefaultFieldNullability: false;
  DefaultInputFieldRequiredness: true;
  DefaultEdgesNullability: { list: false; items: false };
  DefaultNodeNullability: false;
  AuthScopes: { mayUse: GuardedField };
  AuthContexts: { mayUse: AuthorizedContext };
  Scalars: {
    ID: { Input: string; Output: string };
    DateTime: { Input: Date; Output: Date };
    BigInt: { Input: bigint; Output: bigint };
    Base64: { Input: Uint8Array; Output: Uint8Array };
    Cursor: { Input: string; Output: string };
  };
}>({
  // Errors outermost, so that unions see what every other plugin throws; Prisma innermost, it plans the selection.
  plugins: [ErrorsPlugin, ScopeAuthPlugin, ComplexityPlugin, RelayPlugin, PrismaPlugin],
  defaultFieldNullability: false,
  defaultInputFieldRequiredness: true,
  errors: {
    // The payload itself is the union's member: with the default wrapper, selecting no field of it crashes Prisma.
    directResult: true,
    defaultUnionOptions: {
      name: ({ fieldName }) => `${fieldName[0]?.toUpperCase()}${fieldName.slice(1)}Result`,
      description: 'What was done, or what kept it from being done.',
    },
  },
  scopeAuth: {
    authorizeOnSubscribe: true,
    authScopes: ({ viewer }) => ({ mayUse: (field) => viewer !== null && mayUse(viewer, field) }),
    unauthorizedError: (_parent, { viewer }, { parentType, fieldName }) =>
      viewer
        ? forbidden(scopeOf[`${parentType.name}.${fieldName}` as GuardedField], isRoot(parentType.name))
        : unauthenticated(),
  },
  complexity: {
    // Lists cost what their connection says; the multiplier of 10 for every other list would count the same rows twice.
    defaultListMultiplier: 1,
    // Checked before execution, together with the other limits on documents.
    disabled: true,
  },
  relay: {
    encodeGlobalID: encodeId,
    // `node` and `nodes` are in node.ts: these would answer a malformed id with an unexpected error.
    nodeQueryOptions: false,
    nodesQueryOptions: false,
    nodesOnConnection: { description: 'The rows of the page, without their cursors.' },
    edgesFieldOptions: {
      nullable: { list: false, items: false },
      description: 'The rows of the page, with their cursors.',
    },
    nodeFieldOptions: { nullable: false, description: 'The row.' },
    nodeTypeOptions: { description: 'Anything with a global id.' },
    idFieldOptions: { description: 'Global id. Opaque, and lasting.' },
    cursorFieldOptions: { description: 'Place of the row: give it as `after` or `before`.' },
    pageInfoFieldOptions: { description: 'How to get further pages.' },
    pageInfoTypeOptions: { description: 'How to get further pages.' },
    hasNextPageFieldOptions: { description: 'Whether there is more behind this page.' },
    hasPreviousPageFieldOptions: { description: 'Whether there is more before this page.' },
    startCursorFieldOptions: { description: 'Cursor of the first row. Null when the page is empty.' },
    endCursorFieldOptions: { description: 'Cursor of the last row. Null when the page is empty.' },
    firstArgOptions: { description: `Rows from the start, 1 to ${maxPageSize}; ${defaultPageSize} when left out.` },
    lastArgOptions: { description: `Rows from the end, 1 to ${maxPageSize}.` },
    afterArgOptions: { description: 'Only rows behind this cursor.' },
    beforeArgOptions: { description: 'Only rows before this cursor.' },
    defaultConnectionFieldOptions: { complexity: pageCost },
  },
  prisma: {
    client: ({ database }) => database,
    dmmf: getDatamodel(),
    defaultConnectionSize: defaultPageSize,
    maxConnectionSize: maxPageSize,
    onUnusedQuery: null,
  },
});

builder.queryType({ description: 'What can be asked.' });
builder.mutationType({
  description:
    'What can be done. Every mutation takes one `input` and answers with a union of its payload and its failures.',
});
builder.subscriptionType({ description: 'What can be followed, over WebSocket or server-sent events.' });

/** A refused root field is a refused request; below one, the rest of the answer stands. */
function isRoot(typeName: string): boolean {
  return typeName === 'Query' || typeName === 'Mutation' || typeName === 'Subscription';
}

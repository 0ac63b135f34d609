/** What a document may cost. Everything is checked before anything is executed, on every transport. */
import { complexityFromQuery } from '@pothos/plugin-complexity';
import {
  type ASTVisitor,
  type DocumentNode,
  GraphQLError,
  getOperationAST,
  Kind,
  parse,
  type SelectionSetNode,
  type ValidationContext,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { requestError } from './errors.js';

export const limits = {
  /** Bytes of a request's body or a WebSocket message. */
  bodyBytes: 1_000_000,
  /** Tokens in a document; GraphiQL's introspection query has about 200. */
  tokens: 1_000,
  /** Fields within fields. The schema's own deepest useful path has 8. */
  depth: 12,
  aliases: 20,
  /** Rows and fields that an operation may touch: a full page of archives with all their fields costs about 4,000. */
  complexity: 5_000,
  /** Operations at once on one WebSocket. */
  operationsPerSocket: 100,
  /** How long a new WebSocket may take to present its credentials. */
  connectionInitMs: 5_000,
} as const;

export function useLimits(): Plugin {
  return {
    onParse: ({ setParseFn }) =>
      setParseFn((source, options) => {
        try {
          return parse(source, { ...options, maxTokens: limits.tokens });
        } catch (error) {
          const tooLong = error instanceof GraphQLError && error.message.endsWith('tokens. Parsing aborted.');
          throw tooLong ? limitExceeded(`The document has more than ${limits.tokens} tokens. Split it up.`) : error;
        }
      }),
    onValidate: ({ addValidationRule }) => addValidationRule(shapeRule),
    onExecute: ({ args, setResultAndStopExecution }) => {
      const error = complexityError(args);
      if (error) setResultAndStopExecution({ errors: [error] });
    },
    onSubscribe: ({ args, setResultAndStopExecution }) => {
      const error = complexityError(args);
      if (error) setResultAndStopExecution({ errors: [error] });
    },
  };
}

const limitExceeded = (message: string) => requestError('LIMIT_EXCEEDED', message, 400);

/** Refuses documents that are too deep or alias too much, fragments counted wherever they are spread. */
function shapeRule(context: ValidationContext): ASTVisitor {
  const fragments = new Map<string, Shape>();

  function shapeOf(selectionSet: SelectionSetNode): Shape {
    const shape: Shape = { depth: 0, aliases: 0 };
    for (const selection of selectionSet.selections) {
      let inner: Shape = { depth: 0, aliases: 0 };
      if (selection.kind === Kind.FRAGMENT_SPREAD) inner = shapeOfFragment(selection.name.value);
      else if (selection.kind === Kind.INLINE_FRAGMENT) inner = shapeOf(selection.selectionSet);
      else {
        // Introspection is deep by nature, and limited by a rule of GraphQL itself.
        const introspection = selection.name.value.startsWith('__');
        if (selection.selectionSet && !introspection) inner = shapeOf(selection.selectionSet);
        inner = { depth: inner.depth + 1, aliases: inner.aliases + (selection.alias ? 1 : 0) };
      }
      shape.depth = Math.max(shape.depth, inner.depth);
      shape.aliases += inner.aliases;
    }
    return shape;
  }

  function shapeOfFragment(name: string): Shape {
    const known = fragments.get(name);
    if (known) return known;
    // Stands for itself while it is measured, so that a cycle ends; another rule refuses those.
    fragments.set(name, { depth: 0, aliases: 0 });
    const fragment = context.getFragment(name);
    const shape = fragment ? shapeOf(fragment.selectionSet) : { depth: 0, aliases: 0 };
    fragments.set(name, shape);
    return shape;
  }

  return {
    OperationDefinition(operation) {
      const { depth, aliases } = shapeOf(operation.selectionSet);
      if (depth > limits.depth) {
        context.reportError(
          limitExceeded(`The operation is ${depth} fields deep; at most ${limits.depth} are allowed.`),
        );
      }
      if (aliases > limits.aliases) {
        context.reportError(
          limitExceeded(`The operation has ${aliases} aliases; at most ${limits.aliases} are allowed.`),
        );
      }
    },
  };
}

interface Shape {
  depth: number;
  aliases: number;
}

/** What is wrong with the cost of an operation, its variables, or the pages it asks for. */
function complexityError(args: {
  schema: Parameters<typeof complexityFromQuery>[1]['schema'];
  document: DocumentNode;
  operationName?: string | null;
  variableValues?: unknown;
  contextValue: object;
}): GraphQLError | null {
  const operation = getOperationAST(args.document, args.operationName);
  if (!operation) return null;
  // It prices the first operation it finds.
  const definitions = [operation, ...args.document.definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION)];
  try {
    const { complexity } = complexityFromQuery(
      { kind: Kind.DOCUMENT, definitions },
      { schema: args.schema, variables: args.variableValues as Record<string, unknown>, ctx: args.contextValue },
    );
    if (complexity <= limits.complexity) return null;
    const message = `The operation costs ${complexity}; at most ${limits.complexity} is allowed. Ask for smaller pages or fewer fields.`;
    return requestError('COMPLEXITY_LIMIT', message, 400);
  } catch (error) {
    if (error instanceof GraphQLError) return error;
    throw error;
  }
}

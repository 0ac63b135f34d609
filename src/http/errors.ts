/** Failures as they appear in `errors[]`: every one has a stable code, and unexpected ones tell nothing but the request id. */
import { GraphQLError } from 'graphql';
import type { Logger } from 'pino';
import { ExpectedError } from '../services/errors.js';

/** Codes in `errors[].extensions.code`, beside those of the expected failures. */
export type RequestErrorCode =
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'BAD_USER_INPUT'
  | 'LIMIT_EXCEEDED'
  | 'COMPLEXITY_LIMIT'
  | 'INTERNAL';

export function requestError(code: RequestErrorCode, message: string, status?: number): GraphQLError {
  return new GraphQLError(message, { extensions: { code, ...(status ? { http: { status } } : {}) } });
}

export const unauthenticated = () =>
  requestError(
    'UNAUTHENTICATED',
    'This needs valid credentials. Send an API key or a job token as `Authorization: Bearer …`, over WebSocket as the connection parameter `authorization`.',
    401,
  );

/** `whole`: nothing of the request is answered. */
export const forbidden = (scope: string, whole: boolean) =>
  requestError(
    'FORBIDDEN',
    `These credentials lack the scope "${scope}". Use a key that has it.`,
    whole ? 403 : undefined,
  );

/** The error to show for one that occurred. What was not meant for clients is logged and replaced. */
export function presentError(error: unknown, requestId: string, log: Logger): GraphQLError {
  const located = error instanceof GraphQLError ? error : undefined;
  const cause = rootCause(error);
  const place = located
    ? { nodes: located.nodes, source: located.source, positions: located.positions, path: located.path }
    : {};
  if (cause instanceof ExpectedError) {
    return new GraphQLError(cause.message, { ...place, extensions: { code: cause.code, requestId } });
  }
  if (cause instanceof GraphQLError) {
    const extensions = { code: 'BAD_USER_INPUT', ...cause.extensions, requestId };
    return new GraphQLError(cause.message, { ...place, extensions });
  }
  log.error({ err: cause, requestId, path: located?.path?.join('.') }, 'an operation failed unexpectedly');
  const message = `Unexpected error. Whoever runs this service finds it in the log as request ${requestId}.`;
  return new GraphQLError(message, { ...place, extensions: { code: 'INTERNAL', requestId } });
}

/** GraphQL wraps what resolvers throw, sometimes twice. */
function rootCause(error: unknown): unknown {
  let cause = error;
  while (cause instanceof GraphQLError && cause.originalError) cause = cause.originalError;
  return cause;
}

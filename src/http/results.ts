/** Results, with their errors made presentable. */
import { type ExecutionResult, GraphQLError } from 'graphql';
import type { Logger } from 'pino';
import { presentError } from './errors.js';

export interface Presenter {
  requestId: string;
  log: Logger;
}

export function presentResult(result: ExecutionResult, { requestId, log }: Presenter): ExecutionResult {
  if (!result.errors) return result;
  const errors = result.errors.map((error) => presentError(error, requestId, log));
  // Without data nothing was executed: an unexpected error is then the whole answer.
  if (!('data' in result)) {
    for (const { extensions } of errors) if (extensions.code === 'INTERNAL') extensions.http = { status: 500 };
  }
  return { ...result, errors };
}

/** A result whose errors are without what only HTTP has a use for. */
export function withoutHttp(result: ExecutionResult): ExecutionResult {
  return result.errors ? { ...result, errors: result.errors.map(shown) } : result;
}

export function shown(error: GraphQLError): GraphQLError {
  const { http: _, ...extensions } = error.extensions;
  const { nodes, source, positions, path } = error;
  return new GraphQLError(error.message, { nodes, source, positions, path, extensions });
}

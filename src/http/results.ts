/** Results and streams of results, with their errors made presentable. */
import type { ExecutionResult, GraphQLError } from 'graphql';
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

/** The same stream, presentable. When it breaks, `broken` is its last result; or throws, if that is how its reader hears. */
export function presentStream(
  stream: AsyncIterable<ExecutionResult>,
  presenter: Presenter,
  broken: (error: GraphQLError) => ExecutionResult,
): AsyncGenerator<ExecutionResult, void> {
  const iterator = stream[Symbol.asyncIterator]();
  let over = false;
  const end = async (): Promise<IteratorResult<ExecutionResult, void>> => {
    over = true;
    await iterator.return?.();
    return { done: true, value: undefined };
  };
  return {
    async next() {
      if (over) return { done: true, value: undefined };
      try {
        const result = await iterator.next();
        return result.done
          ? { done: true, value: undefined }
          : { done: false, value: presentResult(result.value, presenter) };
      } catch (error) {
        over = true;
        return { done: false, value: broken(presentError(error, presenter.requestId, presenter.log)) };
      }
    },
    return: end,
    throw: end,
    [Symbol.asyncIterator]() {
      return this;
    },
    [Symbol.asyncDispose]: async () => void (await end()),
  };
}

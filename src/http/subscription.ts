/** A subscription as its transport holds it: its results are pushed into a sink, or wait here to be pulled. */
import type { ExecutionResult, GraphQLError } from 'graphql';
import type { Frame, Sink } from '../events/member.js';

/** A result that is JSON already. Yoga sends what `stringify` answers, so that it is not serialized once for each client. */
interface SerializedResult extends ExecutionResult {
  stringify: () => string;
}

/**
 * Begins when it is first asked for a result. With `sink` it has no results of its own, and its end is that of what is
 * pushed. `present` makes of an error what clients are shown.
 */
export class Subscription implements AsyncGenerator<ExecutionResult, void, undefined> {
  readonly #join: (sink: Sink) => () => void;
  readonly #sink: Sink;
  readonly #frames: Frame[] = [];
  readonly #present: (error: unknown) => GraphQLError;
  readonly #isPulled: boolean;
  readonly #onOver: (() => void) | undefined;
  #leave: (() => void) | undefined;
  #ended: { error?: GraphQLError } | undefined;
  #awaken = () => {};

  constructor(options: {
    join: (sink: Sink) => () => void;
    sink: Sink | undefined;
    onOver?: (() => void) | undefined;
    present: (error: unknown) => GraphQLError;
  }) {
    const { join, sink, onOver, present } = options;
    this.#onOver = onOver;
    this.#join = join;
    this.#isPulled = sink === undefined;
    this.#present = present;
    const end = (error?: unknown) => this.end(error);
    this.#sink = sink
      ? Object.assign(sink, { end })
      : {
          write: (frames) => {
            this.#frames.push(...frames);
            this.#awaken();
            return false;
          },
          onReady: () => {},
          end,
        };
  }

  /** Ends it from our side: `error`, if any, is told last. */
  end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = error === undefined ? {} : { error: this.#present(error) };
    this.#leave?.();
    this.#onOver?.();
    this.#awaken();
  }

  async next(): Promise<IteratorResult<ExecutionResult, void>> {
    if (!this.#leave && !this.#ended) {
      this.#leave = this.#join(this.#sink);
      if (this.#ended) this.#leave();
    }
    for (;;) {
      const frame = this.#frames.shift();
      if (frame) {
        if (this.#frames.length === 0) this.#sink.onReady();
        const result: SerializedResult = { stringify: () => frame.bytes.toString('utf8') };
        return { done: false, value: result };
      }
      if (this.#ended) {
        const { error } = this.#ended;
        this.#ended = {};
        if (!error) return { done: true, value: undefined };
        // The protocol of sockets has a message for that, server-sent events only a last result.
        if (this.#isPulled) return { done: false, value: { errors: [error] } };
        throw error;
      }
      await new Promise<void>((resolve) => {
        this.#awaken = resolve;
      });
    }
  }

  async return(): Promise<IteratorResult<ExecutionResult, void>> {
    this.#frames.length = 0;
    this.end();
    return { done: true, value: undefined };
  }

  throw(): Promise<IteratorResult<ExecutionResult, void>> {
    return this.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}

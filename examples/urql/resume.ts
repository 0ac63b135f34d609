/** Lets urql's subscriptions go on behind the last event after a lost connection. */
import type { ExecutionResult, SubscriptionForwarder } from '@urql/core';
import type { Client } from 'graphql-ws';
import { errorOf, eventIn } from '../watching.js';

/** For `subscriptionExchange`. Documents select `cursor` and `__typename`, and name the variable for `after` like that. */
export function resuming(socket: Client): SubscriptionForwarder {
  return ({ query = '', variables }) => ({
    subscribe(sink) {
      let leave = () => {};
      let left = false;
      let after: string | undefined;

      function open(): void {
        let ofEvents = false;
        const payload = {
          query,
          // graphql-ws sends this object again after a lost connection: as a getter it has the cursor of then.
          get variables() {
            return after === undefined ? variables : { ...variables, after };
          },
        };
        leave = socket.subscribe<Record<string, unknown>>(payload, {
          next(result) {
            const event = eventIn(result.data);
            if (event) {
              ofEvents = true;
              after = event.cursor;
            }
            if (event?.__typename === 'StreamLagged') return;
            sink.next(result as ExecutionResult);
          },
          // A list of errors it understands; of the event that closed a socket it would say nothing.
          error: (reason) => sink.error(Array.isArray(reason) ? reason : errorOf(reason)),
          complete() {
            // A stream of events is completed for a reader that was too slow. Statistics really end.
            if (ofEvents && !left) open();
            else sink.complete();
          },
        });
      }

      open();
      return {
        unsubscribe() {
          left = true;
          leave();
        },
      };
    },
  });
}

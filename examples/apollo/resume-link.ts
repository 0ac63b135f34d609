/** Lets Apollo's subscriptions go on behind the last event after a lost connection. */
import { ApolloLink } from '@apollo/client';
import { Observable, type Subscription } from 'rxjs';
import { eventIn } from '../watching.js';

/** To be put before a GraphQLWsLink. Documents select `cursor` and `__typename`, and name the variable for `after` like that. */
export const resumeLink = new ApolloLink(
  (operation, forward) =>
    new Observable((observer) => {
      // The very object that GraphQLWsLink hands to graphql-ws, which sends it again after a lost connection.
      const variables: Record<string, unknown> = { ...operation.variables };
      operation.variables = variables;
      let subscription: Subscription | undefined;

      function open(): void {
        let ofEvents = false;
        subscription = forward(operation).subscribe({
          next(result) {
            const event = eventIn(result.data);
            if (event) {
              ofEvents = true;
              variables.after = event.cursor;
            }
            if (event?.__typename === 'StreamLagged') return;
            observer.next(result);
          },
          error: (error) => observer.error(error),
          complete() {
            // A stream of events is completed for a reader that was too slow. Statistics really end.
            if (ofEvents) open();
            else observer.complete();
          },
        });
      }

      open();
      return () => subscription?.unsubscribe();
    }),
);

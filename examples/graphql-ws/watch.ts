/**
 * Watches a job, or all of a project, with nothing but graphql-ws, and keeps the cursor by hand:
 * `node --import tsx examples/graphql-ws/watch.ts --key td_… [id of a job]`
 */
import { print } from 'graphql';
import { JobEvents, ProjectEvents } from '../client/operations.js';
import { connect, errorOf, eventIn, show, watchOptions } from '../watching.js';

const options = watchOptions();
const socket = connect(options);
const { jobId } = options;

let after: string | undefined;
const payload = {
  query: print(jobId ? JobEvents : ProjectEvents),
  // graphql-ws sends this object again after a lost connection: as a getter it has the cursor of then, not of the beginning.
  get variables() {
    return jobId ? { jobId, after } : { after };
  },
};

/** Resolves when the service completes the stream. Rejects with what will not pass by itself. */
function watch(): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.subscribe<object>(payload, {
      // In this call, and not where a queue is read: what waits in a queue when the connection is lost would be told twice.
      next({ data, errors }) {
        if (errors) return reject(errorOf(errors));
        const event = eventIn(data);
        if (!event || event.__typename === 'StreamLagged') return;
        after = event.cursor;
        show(event);
      },
      error: (reason) => reject(errorOf(reason)),
      complete: resolve,
    });
  });
}

try {
  // A stream of events is completed only for a reader that was too slow: the rest is behind the cursor.
  for (;;) await watch();
} catch (error) {
  console.error((error as Error).message);
  process.exit(1);
}

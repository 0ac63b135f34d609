/** Following a job to its end, across lost connections. */
import type { Tapedeck } from './client.js';
import type { JobEventsSubscription, JobState } from './gql/graphql.js';
import { JobEvents } from './operations.js';

const finalStates: readonly JobState[] = ['COMPLETE', 'PARTIAL', 'FAILED', 'EXPIRED', 'CANCELED'];
export type JobEvent = JobEventsSubscription['jobEvents'];

/** Every event of the job, the last of them being the one that ended it. `jobId` may be the id of its archive. */
export async function* follow(tapedeck: Tapedeck, jobId: string): AsyncGenerator<JobEvent, void, undefined> {
  let after: string | undefined;
  for (;;) {
    const events = tapedeck.subscribe(JobEvents, { jobId, after }, ({ jobEvents }) => ({ after: jobEvents.cursor }));
    for await (const { jobEvents: event } of events) {
      after = event.cursor;
      yield event;
      if (event.__typename === 'JobSnapshot' && finalStates.includes(event.job.state)) return;
      if (event.__typename === 'JobStateChanged' && finalStates.includes(event.state)) return;
    }
    // The service ended the stream, because this reader lagged or it was restarted: the cursor has the rest.
  }
}

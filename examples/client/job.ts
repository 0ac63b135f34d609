/** Following one job to its end. */
import type { StreamOptions, Tapedeck } from './client.js';
import { TapedeckError } from './errors.js';
import type { JobEventsSubscription, JobState } from './gql/graphql.js';
import { JobEvents } from './operations.js';
import { endable } from './stream.js';

const finalStates = ['COMPLETE', 'PARTIAL', 'FAILED', 'EXPIRED', 'CANCELED'] as const satisfies readonly JobState[];
export type FinalState = (typeof finalStates)[number];
export type JobEvent = Exclude<JobEventsSubscription['jobEvents'], { __typename: 'StreamLagged' }>;

/**
 * Every event of the job; the last one is that which ended it, and what the generator returns is how: undefined when it was left
 * before. `jobId` may be the id of its archive. Throws TapedeckError: with NOT_FOUND also when the job is gone.
 */
export function followJob(
  tapedeck: Tapedeck,
  jobId: string,
  { signal }: StreamOptions = {},
): AsyncGenerator<JobEvent, FinalState | undefined, undefined> {
  return endable((ended) => untilFinal(tapedeck, jobId, ended), [signal]);
}

async function* untilFinal(
  tapedeck: Tapedeck,
  jobId: string,
  signal: AbortSignal,
): AsyncGenerator<JobEvent, FinalState | undefined, undefined> {
  for await (const event of tapedeck.follow(JobEvents, { jobId }, { signal })) {
    if (event.__typename === 'JobSnapshot' && !event.job) throw new TapedeckError('NOT_FOUND', 'The job is gone.');
    yield event;
    const state = enteredBy(event);
    if (isFinal(state)) return state;
  }
}

function isFinal(state: JobState | undefined): state is FinalState {
  return (finalStates as readonly (JobState | undefined)[]).includes(state);
}

/** The state that the job is in since the event, where it tells one. */
export function enteredBy(event: JobEvent): JobState | undefined {
  if (event.__typename === 'JobStateChanged') return event.state;
  return event.__typename === 'JobSnapshot' ? event.job?.state : undefined;
}

/** Streams of events: who may follow what. */
import type { Viewer } from '../auth/viewer.js';
import type { CommittedEvent } from '../events/bus.js';
import type { EventSources } from '../events/event-sources.js';
import type { EventSource } from '../events/source.js';
import type { JobEventType } from '../jobs/events.js';
import type { JobState } from '../jobs/states.js';
import { NotFoundError, ValidationError } from './errors.js';
import type { Jobs } from './jobs.js';
import type { Rooms } from './rooms.js';

/** Which events of a project are told: those that every given condition holds for. */
export interface EventsFilter {
  types?: readonly JobEventType[] | null;
  /** Changes into one of these states, and no other event. */
  states?: readonly JobState[] | null;
  jobIds?: readonly string[] | null;
  roomIds?: readonly string[] | null;
}

const mostConditions = 100;
const onlyId = { select: { id: true } };

export function createEvents({ sources, jobs, rooms }: { sources: EventSources; jobs: Jobs; rooms: Rooms }) {
  return {
    /** Everything that happens to a job. Throws ValidationError for a malformed cursor, NotFoundError. */
    async job(jobId: string, after: string | null, viewer: Viewer): Promise<EventSource> {
      await jobs.requireVisible(jobId, viewer);
      return sources.job(jobId, after);
    },

    /** Everything that happens in a room, and to the jobs of it. Throws ValidationError for a malformed cursor, NotFoundError. */
    async room(roomId: string, after: string | null, viewer: Viewer): Promise<EventSource> {
      // What a job's own token shows of a room is the job, and that has a stream of its own.
      if (viewer.kind === 'job' || !(await rooms.find(onlyId, roomId, viewer)))
        throw new NotFoundError('There is no such room.');
      return sources.room(roomId, after);
    },

    /** Everything that happens in the viewer's project; with a job's own token, to that job. Throws ValidationError. */
    project(filter: EventsFilter | null, after: string | null, viewer: Viewer): EventSource {
      const conditions = conditionsOf(filter ?? {});
      if (viewer.kind === 'job') conditions.push(({ jobId }) => jobId === viewer.jobId);
      return sources.project(viewer.projectId, after, (event) => conditions.every((holds) => holds(event)));
    },

    /** Where a stream goes on after the event of that number. Throws NotFoundError. */
    cursorOf: sources.cursorOf,
  };
}

function conditionsOf(filter: EventsFilter): ((event: CommittedEvent) => boolean)[] {
  const issues = Object.entries(filter)
    .filter(([, values]) => values && values.length > mostConditions)
    .map(([field]) => ({ field: `filter.${field}`, message: `Give at most ${mostConditions}.` }));
  if (issues.length > 0) throw new ValidationError(issues);
  const among = <Value>(values: readonly Value[], of: (event: CommittedEvent) => Value | null) => {
    const wanted = new Set<Value | null>(values);
    return (event: CommittedEvent) => wanted.has(of(event));
  };
  const { types, states, jobIds, roomIds } = filter;
  return [
    types && among(types, ({ payload }) => payload.type),
    states && among(states, ({ payload }) => (payload.type === 'JobStateChanged' ? payload.state : null)),
    jobIds && among(jobIds, ({ jobId }) => jobId),
    roomIds && among(roomIds, ({ roomId }) => roomId),
  ].filter((condition) => condition != null);
}

/** Streams of events: who may follow what. */
import type { Viewer } from '../auth/viewer.js';
import type { EventConditions, EventSources } from '../events/event-sources.js';
import type { EventSource } from '../events/source.js';
import { type RoomEventType, roomEventTypes } from '../rooms/events.js';
import { NotFoundError, ValidationError } from './errors.js';
import type { Jobs } from './jobs.js';
import type { Rooms } from './rooms.js';
import { visibleJobs } from './visibility.js';

/** In each condition of a filter. */
const mostValues = 100;
const onlyId = { select: { id: true } };
const ofRoomsThemselves = Object.keys(roomEventTypes) as RoomEventType[];

export function createEvents({ sources, jobs, rooms }: { sources: EventSources; jobs: Jobs; rooms: Rooms }) {
  return {
    /** Everything that happens to a job. Throws ValidationError for a malformed cursor, NotFoundError. */
    async job(jobId: string, after: string | null, viewer: Viewer): Promise<EventSource> {
      await jobs.requireVisible(jobId, viewer);
      return sources.job(jobId, after);
    },

    /** Everything that happens in a room, and to the jobs of it; with the room's token, not to those. Throws ValidationError for a malformed cursor, NotFoundError. */
    async room(roomId: string, after: string | null, viewer: Viewer): Promise<EventSource> {
      // What a job's own token shows of a room is the job, and that has a stream of its own.
      if (viewer.kind === 'job' || !(await rooms.find(onlyId, roomId, viewer)))
        throw new NotFoundError('There is no such room.');
      return sources.room(roomId, after, viewer.kind === 'room' ? { types: ofRoomsThemselves } : {});
    },

    /** Everything that happens in the viewer's project; with a job's own token, to that job. Throws ValidationError. */
    project(filter: EventConditions, after: string | null, viewer: Viewer): EventSource {
      const issues = Object.entries(filter)
        .filter(([, values]) => values && values.length > mostValues)
        .map(([field]) => ({ field: `filter.${field}`, message: `Give at most ${mostValues}.` }));
      if (issues.length > 0) throw new ValidationError(issues);
      if (viewer.kind === 'key') return sources.project(viewer.projectId, after, filter);
      const { id: jobId } = visibleJobs(viewer) as { id: string };
      const jobIds = !filter.jobIds || filter.jobIds.includes(jobId) ? [jobId] : [];
      return sources.project(viewer.projectId, after, { ...filter, jobIds });
    },

    /** Where a stream goes on after the event of that number. Throws NotFoundError. */
    cursorOf: sources.cursorOf,
  };
}

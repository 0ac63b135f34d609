/** Which rows a viewer may see: those of its project; with a job's own token that job alone, with a room's that room alone. */
import type { Viewer } from '../auth/viewer.js';
import type { Prisma } from '../generated/prisma/client.js';

/** Finds nothing: no row has this id. */
const noId = '00000000-0000-0000-0000-000000000000';

export function visibleJobs(viewer: Viewer): { projectId: string; id?: string } {
  const { projectId } = viewer;
  switch (viewer.kind) {
    case 'key':
      return { projectId };
    case 'job':
      return { projectId, id: viewer.jobId };
    case 'room':
      return { projectId, id: noId };
  }
}

/** Rooms that were not deleted; with a job's own token the room of that job, deleted or not. */
export function visibleRooms(viewer: Viewer): Prisma.RoomWhereInput {
  const { projectId } = viewer;
  switch (viewer.kind) {
    case 'key':
      return { projectId, deletedAt: null };
    case 'job':
      return { projectId, jobs: { some: { id: viewer.jobId } } };
    case 'room':
      return { projectId, id: viewer.roomId, deletedAt: null };
  }
}

/** Recordings that were not deleted: what the token of a job shows is that job, not all others of its recording. */
export function visibleRecordings(viewer: Viewer): Prisma.RecordingWhereInput {
  const { projectId } = viewer;
  return viewer.kind === 'key' ? { projectId, deletedAt: null } : { projectId, id: noId };
}

/** Schedules that were not deleted: the token of a job shows that job, not what has started it. */
export function visibleSchedules(viewer: Viewer): Prisma.ScheduleWhereInput {
  const { projectId } = viewer;
  return viewer.kind === 'key' ? { projectId, deletedAt: null } : { projectId, id: noId };
}

/** Sessions: with a job's own token, the one that job is of; with a room's none. */
export function visibleSources(viewer: Viewer): { projectId: string; jobs?: { some: { id: string } } } {
  const { projectId } = viewer;
  switch (viewer.kind) {
    case 'key':
      return { projectId };
    case 'job':
      return { projectId, jobs: { some: { id: viewer.jobId } } };
    case 'room':
      return { projectId, jobs: { some: { id: noId } } };
  }
}

/** People in a room are seen by whoever sees all of it: not with the token of a job. */
export function visibleParticipants(viewer: Viewer): Prisma.ParticipantWhereInput {
  const { projectId } = viewer;
  switch (viewer.kind) {
    case 'key':
      return { projectId };
    case 'job':
      return { projectId, id: noId };
    case 'room':
      return { projectId, roomId: viewer.roomId };
  }
}

/** What has become of the automatic recording of a session, from its jobs and their files. */
import type { FileKind } from '../generated/prisma/client.js';
import { isTerminal, type JobState } from '../jobs/states.js';

export const recordingStatuses = ['WAITING', 'READY', 'FAILED', 'DELETED', 'NONE'] as const;
export type RecordingStatus = (typeof recordingStatuses)[number];

/** Files that play. */
export const playableKinds = ['VIDEO', 'PLAYLIST'] as const satisfies readonly FileKind[];

export interface RecordedSession {
  record: boolean;
  endedAt: Date | null;
  /** Those that were started by the room itself, with the files that play. */
  jobs: readonly { state: JobState; files: readonly { deletedAt: Date | null }[] }[];
}

export function recordingStatus({ record, endedAt, jobs }: RecordedSession): RecordingStatus {
  if (!record) return 'NONE';
  if (endedAt === null || jobs.some(({ state }) => !isTerminal(state))) return 'WAITING';
  const files = jobs.flatMap((job) => job.files);
  if (files.some(({ deletedAt }) => deletedAt === null)) return 'READY';
  if (files.length > 0) return 'DELETED';
  return jobs.length > 0 ? 'FAILED' : 'NONE';
}

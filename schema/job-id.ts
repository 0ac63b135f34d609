/** Which job an id means: also that of what was asked for, such as an archive, and that of a recording. */
import { NotFoundError } from '../src/services/errors.js';
import type { Services } from '../src/services/services.js';
import { jobTypes, uuidFrom, uuidOf } from './ids.js';

export const jobIdDescription =
  'Global id of the job, of its archive, render or task, or of a recording: its newest run.';

/** The uuid of the job; of a recording, that of its newest run. Whether the viewer may see it is not asked. Throws NotFoundError. */
export async function jobIdFrom(globalId: string, services: Pick<Services, 'recordingPages'>): Promise<string> {
  const recordingId = uuidOf(globalId, ['Recording']);
  if (recordingId === null) return uuidFrom(globalId, jobTypes, 'job');
  const newest = await services.recordingPages.newestRun(recordingId);
  if (newest) return newest.jobId;
  throw new NotFoundError('There is no run of this recording. Start it with startRecording.');
}

/** The jobs that schedules start: checked when they are asked for, and made anew for each window. */
import type { Tenant } from '../auth/viewer.js';
import type { Database } from '../db.js';
import type { Recording, Schedule } from '../generated/prisma/client.js';
import { longestWindowMs } from '../schedules/windows.js';
import type { Archives, StartArchive } from './archives.js';
import { NotFoundError, ValidationError } from './errors.js';
import { noSuchRecording, type RecordingRuns } from './recording-runs.js';
import type { NewJob } from './start-job.js';
import type { StartTask } from './task-input.js';
import type { Tasks } from './tasks.js';

/** An archive as it was asked for; it is started when the window begins. */
export type ScheduledArchive = Omit<StartArchive, 'requestId' | 'launchTime'>;
/** A task, without the token of its room: that was checked, and is kept nowhere. */
export type ScheduledTask = Omit<StartTask, 'requestId'>;

/** What a schedule starts in each of its windows, as it is kept. */
export type Work =
  | { kind: 'archive'; archive: ScheduledArchive }
  | { kind: 'task'; task: ScheduledTask }
  /** The recording is named in a column of its own. */
  | { kind: 'recording' };

export type ScheduledJobs = ReturnType<typeof createScheduledJobs>;

export function createScheduledJobs(deps: {
  db: Database;
  archives: Pick<Archives, 'prepare'>;
  tasks: Pick<Tasks, 'prepare'>;
  runs: Pick<RecordingRuns, 'newJob'>;
}) {
  const { db, archives, tasks, runs } = deps;

  /** One of which nobody has said otherwise lasts as long as its window, whoever is there. */
  async function archiveJob(archive: ScheduledArchive, tenant: Tenant): Promise<NewJob> {
    const { job } = await archives.prepare(archive, tenant);
    return {
      ...job,
      ...(archive.maxDuration == null ? { maxDurationMs: longestWindowMs } : {}),
      ...(archive.idleTimeout == null ? { idleTimeoutMs: null } : {}),
    };
  }

  return {
    /**
     * What is to be kept of an archive or a task, once it is found that it could be started now; null when neither is given.
     * Throws ValidationError (by fields of the schedule), UrlRefusedError, NotFoundError.
     */
    async check(
      { archive, task }: { archive?: ScheduledArchive | null | undefined; task?: ScheduledTask | null | undefined },
      tenant: Tenant,
    ): Promise<Work | null> {
      if (archive) {
        await ofField('archive', archiveJob(archive, tenant));
        return { kind: 'archive', archive };
      }
      if (!task) return null;
      await ofField('task', tasks.prepare({ ...task, requestId: 'check' }, tenant));
      return { kind: 'task', task: withoutToken(task) };
    },

    /**
     * The job that is to be started now, and the recording that it is a run of. Throws ValidationError, UrlRefusedError,
     * NotFoundError.
     */
    async of(schedule: Schedule, requestId: string): Promise<{ job: NewJob; recording: Recording | null }> {
      const work = schedule.work as unknown as Work;
      if (work.kind === 'archive') return { job: await archiveJob(work.archive, schedule), recording: null };
      if (work.kind === 'task')
        return { job: (await tasks.prepare({ ...work.task, requestId }, schedule)).job, recording: null };
      const { recordingId } = schedule;
      const recording = recordingId && (await db.recording.findUnique({ where: { id: recordingId, deletedAt: null } }));
      if (!recording) throw new NotFoundError(noSuchRecording);
      return { job: await runs.newJob(recording), recording };
    },
  };
}

/** The same task: a token is another one each time it is made, and is kept nowhere. */
export function withoutToken(task: ScheduledTask): ScheduledTask {
  const { accessToken: _, ...payload } = task.payload;
  return { ...task, payload };
}

/** Names what is wrong by where it is in the input of the schedule. */
async function ofField(field: string, checked: Promise<unknown>): Promise<void> {
  try {
    await checked;
  } catch (error) {
    if (!(error instanceof ValidationError)) throw error;
    throw new ValidationError(error.issues.map((issue) => ({ ...issue, field: `${field}.${issue.field}` })));
  }
}

/** Events of a job that nothing records: written as any change is, so that streams can be tried without a recording. */
import type { Database } from '../../src/db.js';
import { appendJobEvent, createWake, type EventJob, eventsChannel } from '../../src/events/outbox.js';
import type { JobEventPayload } from '../../src/jobs/events.js';
import type { JobState } from '../../src/jobs/states.js';

/** Of a busy machine with many writers at once; by default a transaction must begin in 2 s and be over in 5. */
const patience = { maxWait: 30_000, timeout: 30_000 };

/** Writes one more event of the job, of a file; answers its number. */
export function happen(db: Database, jobId: string): Promise<number> {
  return write(db, jobId, {}, ({ eventSequence }) => {
    return { type: 'JobFileAdded', fileId: jobId, name: `file-${eventSequence}`, kind: 'LOG' };
  });
}

/** Puts the job into a state, and tells so; answers the number of the event. */
export function enter(db: Database, jobId: string, state: JobState): Promise<number> {
  const nothingMore = { previousState: null, reason: null, message: null, actor: null };
  return write(db, jobId, { state }, () => ({ type: 'JobStateChanged', state, ...nothingMore }));
}

async function write(
  db: Database,
  jobId: string,
  change: { state?: JobState },
  payloadOf: (job: EventJob) => JobEventPayload,
): Promise<number> {
  const sequence = await db.$transaction(async (transaction) => {
    const data = { ...change, eventSequence: { increment: 1 } };
    const job = await transaction.job.update({ where: { id: jobId }, data });
    await appendJobEvent(transaction, job, payloadOf(job));
    return job.eventSequence;
  }, patience);
  createWake(db)(eventsChannel);
  return sequence;
}

/** Writes many events of the job in one transaction, each with a file name of about so many bytes; answers the number of the last. */
export async function happenOften(db: Database, jobId: string, count: number, nameBytes = 10): Promise<number> {
  const [job] = await db.$queryRaw<{ event_sequence: number }[]>`
    WITH job AS (
      UPDATE job SET event_sequence = event_sequence + ${count} WHERE id = ${jobId}::uuid RETURNING id, project_id, event_sequence),
    written AS (
      INSERT INTO event (project_id, job_id, job_seq, type, payload)
      SELECT job.project_id, job.id, sequence, 'JobFileAdded',
             jsonb_build_object('type', 'JobFileAdded', 'fileId', job.id, 'kind', 'LOG',
               'name', rpad('file-' || sequence, ${nameBytes}, '.'))
        FROM job, generate_series(event_sequence - ${count} + 1, event_sequence) AS sequence)
    SELECT event_sequence FROM job`;
  createWake(db)(eventsChannel);
  return job?.event_sequence as number;
}

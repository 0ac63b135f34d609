/** Puts what is to be posted of a change into the transaction of the change. */
import { v7 as uuid } from 'uuid';
import type { Transaction } from '../db.js';
import type { Job } from '../generated/prisma/client.js';
import { encodeId } from '../global-id.js';
import { archiveStatus } from '../jobs/archive-status.js';
import type { JobEventPayload } from '../jobs/events.js';
import { recordingStateOf } from '../jobs/recording-state.js';
import { renderStatus } from '../jobs/render-status.js';
import { taskState } from '../jobs/task-state.js';

/** What a callback tells of its job: the row as the change left it. */
export type CallbackJob = Pick<
  Job,
  | 'id'
  | 'projectId'
  | 'kind'
  | 'roomId'
  | 'recordingId'
  | 'eventSequence'
  | 'callbackUrl'
  | 'progress'
  | 'createdAt'
  | 'startedAt'
  | 'stoppedAt'
>;

type StateChange = Extract<JobEventPayload, { type: 'JobStateChanged' }> & { occurredAt: Date };

/** Names a change of a job: the same for every attempt to tell of it, and for every redelivery. */
export const eventIdOf = (jobId: string, sequence: number): string => `evt_${jobId}_${sequence}`;

/** Writes the delivery of a change of state; nothing for a job without a callback URL. */
export async function appendDelivery(transaction: Transaction, job: CallbackJob, change: StateChange): Promise<void> {
  if (!job.callbackUrl) return;
  const { state, previousState, reason, message, actor, occurredAt } = change;
  const archive = await transaction.archive.findUnique({ where: { id: job.id }, select: { name: true } });
  const render = job.kind === 'RENDER' && (await transaction.render.findUnique({ where: { id: job.id } }));
  const recording =
    job.recordingId &&
    (await transaction.recording.findUnique({ where: { id: job.recordingId }, select: { name: true } }));
  const task = job.kind === 'TASK' && (await transaction.task.findUnique({ where: { id: job.id } }));
  const statuses = task ? taskState : render ? renderStatus : recording ? recordingStateOf : archiveStatus;
  await transaction.webhookDelivery.create({
    data: {
      id: uuid(),
      projectId: job.projectId,
      jobId: job.id,
      sequence: job.eventSequence,
      url: job.callbackUrl,
      payload: {
        eventId: eventIdOf(job.id, job.eventSequence),
        type: 'job.state_changed',
        projectId: encodeId('Project', job.projectId),
        jobId: encodeId('Job', job.id),
        ...(archive ? { archiveId: encodeId('Archive', job.id), name: archive.name } : {}),
        ...(render
          ? {
              id: encodeId('Render', job.id),
              name: render.name,
              streamId: render.streamId,
              sessionId: job.roomId && encodeId('Room', job.roomId),
            }
          : {}),
        ...(recording && job.recordingId
          ? { recordingId: encodeId('Recording', job.recordingId), name: recording.name }
          : {}),
        ...(task ? { taskId: encodeId('Task', job.id), requestId: task.requestId } : {}),
        kind: job.kind,
        seq: job.eventSequence,
        status: statuses[state].toLowerCase(),
        state,
        previousState,
        reason,
        message,
        actor,
        progress: job.progress,
        occurredAt: occurredAt.toISOString(),
        createdAt: job.createdAt.toISOString(),
        startedAt: job.startedAt?.toISOString() ?? null,
        stoppedAt: job.stoppedAt?.toISOString() ?? null,
      },
    },
  });
}

/** Rows to try things on: a project of its own for each test, so that tests never meet. */
import { v7 as uuid } from 'uuid';
import type { Database } from '../../src/db.js';
import { appendJobEvent } from '../../src/events/outbox.js';
import type { JobState } from '../../src/jobs/states.js';

export async function createProject(db: Database): Promise<string> {
  const { id } = await db.project.create({ data: { id: uuid(), name: 'test' } });
  return id;
}

export async function createRoom(db: Database, projectId: string): Promise<string> {
  const id = uuid();
  await db.room.create({ data: { id, projectId, name: `room ${id}`, streamKey: id } });
  return id;
}

/** In the far future: a reconciler takes no notice of a job that is so young. */
export const unheededSince = new Date('2100-01-01');

/** A job as `startArchive` writes it, but that no engine knows of, nor gets to know of. */
export async function createJobRow(
  db: Database,
  projectId: string,
  state: JobState = 'QUEUED',
  { callbackUrl, roomId }: { callbackUrl?: string | undefined; roomId?: string | undefined } = {},
): Promise<string> {
  const id = uuid();
  await db.$transaction(async (transaction) => {
    const job = await transaction.job.create({
      data: {
        id,
        projectId,
        kind: 'ARCHIVE',
        state,
        ...{ callbackUrl, roomId },
        source: { kind: 'page', url: 'http://10.0.0.1/', width: 640, height: 480, fps: 30, loadTimeoutMs: 1_000 },
        maxDurationMs: 10_000,
        accessTokenHash: new Uint8Array(32),
        eventSequence: 1,
        stateSince: unheededSince,
      },
    });
    await appendJobEvent(transaction, job, {
      type: 'JobStateChanged',
      state,
      previousState: null,
      reason: null,
      message: null,
      actor: null,
    });
  });
  return id;
}

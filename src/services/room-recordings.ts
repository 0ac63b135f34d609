/**
 * What rooms do to jobs by themselves: they have their live periods recorded, and end recordings that nobody is in any more. All
 * of it follows from rows, so that it goes on wherever the process that looks was restarted.
 */
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import type { Database } from '../db.js';
import { lockRoom } from '../events/outbox.js';
import type { PageSource } from '../jobs/capture.js';
import { isTerminal, jobStates } from '../jobs/states.js';
import type { RecordingSpec } from '../rooms/profiles.js';
import type { Engine } from '../temporal/client.js';
import type { JobStarter } from './start-job.js';

/** The longest that one job may record; a session that goes on after it is recorded by another. */
const longestRecordingMs = 21_600_000;
/** A recording that failed is not begun anew more often than this. */
const retryAfterMs = 30_000;

const live = jobStates.filter((state) => !isTerminal(state) && state !== 'STOPPING' && state !== 'FINALIZING');

export interface RoomRecordings {
  /** Begins and ends what is due. Safe at any time, also twice at once. */
  look(): Promise<void>;
}

export function createRoomRecordings(deps: {
  db: Database;
  config: Config;
  engine: Engine;
  starter: JobStarter;
  log: Logger;
}): RoomRecordings {
  const { db, config, engine, starter, log } = deps;

  /** Jobs of a room that were there before it went live belong to the session that began then. */
  async function adopt(): Promise<void> {
    await db.$executeRaw`
      UPDATE job SET session_id = session.id FROM session
       WHERE job.room_id = session.room_id AND session.ended_at IS NULL AND job.session_id IS NULL AND job.ended_at IS NULL`;
  }

  async function begin(): Promise<void> {
    const sessions = await db.session.findMany({
      where: {
        ...{ record: true, endedAt: null, room: { deletedAt: null } },
        jobs: {
          none: {
            automatic: true,
            OR: [{ state: { in: live } }, { createdAt: { gt: new Date(Date.now() - retryAfterMs) } }],
          },
        },
      },
      include: { room: { select: { name: true } } },
    });
    for (const { id, projectId, roomId, room, recordingSpec } of sessions) {
      const [profile] = (recordingSpec as unknown as RecordingSpec).profiles;
      if (!profile) continue;
      const { width, height, fps, fpsDen } = profile;
      const source: PageSource = {
        ...{ kind: 'page', url: null, width, height, fps: Math.max(1, Math.min(60, Math.round(fps / fpsDen))) },
        loadTimeoutMs: config.pageLoadTimeoutMs,
        room: { roomId, layout: 'grid' },
      };
      const started = await starter.start<true>(
        {
          ...{
            projectId,
            kind: 'ARCHIVE',
            source,
            callbackUrl: null,
            autostart: true,
            automatic: true,
            launchAt: null,
          },
          ...{ maxDurationMs: longestRecordingMs, roomId, sessionId: id, idleTimeoutMs: null },
          detail: { archive: { create: { projectId, name: room.name, url: null, width, height } } },
        },
        null,
        // Another process may be at it too: the room's lock decides, and what was read before it may be old.
        async (transaction) => {
          await lockRoom(transaction, roomId);
          const running = await transaction.job.count({
            where: { sessionId: id, automatic: true, state: { in: live } },
          });
          const session = await transaction.session.findUnique({ where: { id } });
          return running === 0 && session?.endedAt === null;
        },
      );
      if (started) log.info({ sessionId: id, roomId, jobId: started.jobId }, 'a room is live, and recorded by itself');
    }
  }

  async function end(): Promise<void> {
    const over = await db.$queryRaw<{ id: string; state: string; reason: 'SESSION_ENDED' | 'IDLE_TIMEOUT' }[]>`
      SELECT job.id, job.state::text AS state,
             CASE WHEN job.automatic THEN 'SESSION_ENDED' ELSE 'IDLE_TIMEOUT' END AS reason
        FROM job
        LEFT JOIN session AS own ON own.id = job.session_id
       WHERE job.room_id IS NOT NULL AND job.state::text = ANY(${live})
         AND ((job.automatic AND own.ended_at IS NOT NULL)
           OR (job.idle_timeout_ms IS NOT NULL AND job.started_at IS NOT NULL AND NOT job.automatic
               AND NOT EXISTS (SELECT FROM participant WHERE participant.room_id = job.room_id
                                AND participant.left_at IS NULL AND participant.tracks <> '[]')
               AND greatest(job.started_at, (SELECT max(last_seen_at) FROM session WHERE session.room_id = job.room_id))
                   < now() - job.idle_timeout_ms * interval '1 millisecond'))`;
    for (const { id, state, reason } of over) {
      // What has not begun to record will have nothing to record.
      const begun = ['RECORDING', 'RECONNECTING', 'PAUSED'].includes(state);
      const answer = begun ? await engine.stop(id, reason) : await engine.ask(id, 'cancel', `cancel-for:${reason}`);
      log.info(
        { jobId: id, reason, answer: answer.kind },
        'a recording of a room was ended, as nobody is in it any more',
      );
    }
  }

  return {
    async look() {
      await adopt();
      await begin();
      await end();
    },
  };
}

/**
 * What rooms do to jobs by themselves: they have their live periods recorded, and end recordings that nobody is in any more. All
 * of it follows from rows, so that it goes on wherever the process that looks was restarted.
 */
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import type { Database } from '../db.js';
import { lockRoom } from '../events/outbox.js';
import type { PageSource } from '../jobs/capture.js';
import { liveStates as live } from '../jobs/states.js';
import type { RecordingSpec } from '../rooms/profiles.js';
import type { JobEnds } from './job-ends.js';
import type { JobStarter } from './start-job.js';

/** The longest that one job may record; a session that goes on after it is recorded by another. */
const longestRecordingMs = 21_600_000;
/** A recording that failed is begun anew this long after its end at the earliest. */
const retryAfterMs = 30_000;

interface Over {
  id: string;
  reason: 'SESSION_ENDED' | 'IDLE_TIMEOUT' | 'USER_INITIATED';
}

const h264Profiles = { H264Baseline: 'baseline', H264Main: 'main', H264High: 'high' } as const;

export interface RoomRecordings {
  /** Begins and ends what is due. Safe at any time, also twice at once. */
  look(): Promise<void>;
}

export function createRoomRecordings(deps: {
  db: Database;
  config: Config;
  ends: JobEnds;
  starter: JobStarter;
  log: Logger;
}): RoomRecordings {
  const { db, config, ends, starter, log } = deps;

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
            OR: [
              // Not those that are being finished: one that reached its length is followed at once.
              { state: { in: live } },
              { createdAt: { gt: new Date(Date.now() - retryAfterMs) } },
              { endedAt: { gt: new Date(Date.now() - retryAfterMs) }, reason: { not: 'MAXIMUM_DURATION' } },
              // Whoever ended it does not want another one.
              { reason: { in: ['USER_INITIATED', 'CANCELED'] } },
            ],
          },
        },
      },
      include: { room: { select: { name: true } } },
    });
    for (const { id, projectId, roomId, room, recordingSpec } of sessions) {
      const [profile] = (recordingSpec as unknown as RecordingSpec).profiles;
      if (!profile) continue;
      const { width, height, fps, fpsDen, quality, bitrate, gop } = profile;
      const source: PageSource = {
        ...{ kind: 'page', url: null, width, height, fps: Math.max(1, Math.min(60, Math.round(fps / fpsDen))) },
        loadTimeoutMs: config.pageLoadTimeoutMs,
        room: { roomId, layout: 'grid' },
        encoding: { quality, bitrate, gop, profile: h264Profiles[profile.profile] },
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

  /**
   * Jobs that nobody is there for any more: automatic ones with their session, those with an idle timeout when no people have
   * published for so long, renders that were put out of their room, and all in rooms that are deleted.
   */
  async function end(): Promise<void> {
    const over = await db.$queryRaw<Over[]>`
      SELECT job.id,
             CASE WHEN put_out.media_id IS NOT NULL THEN 'USER_INITIATED'
                  WHEN job.automatic OR room.deleted_at IS NOT NULL THEN 'SESSION_ENDED'
                  ELSE 'IDLE_TIMEOUT' END AS reason
        FROM job
        JOIN room ON room.id = job.room_id
        LEFT JOIN session AS own ON own.id = job.session_id
        LEFT JOIN render ON render.id = job.id
        LEFT JOIN participant AS put_out ON put_out.media_id = render.stream_id AND put_out.removed_at IS NOT NULL
       WHERE job.state = ANY(${live}::"JobState"[])
         AND (room.deleted_at IS NOT NULL OR put_out.media_id IS NOT NULL
           OR (job.automatic AND own.ended_at IS NOT NULL)
           OR (job.idle_timeout_ms IS NOT NULL AND job.started_at IS NOT NULL AND NOT job.automatic
               AND NOT EXISTS (SELECT FROM participant WHERE participant.room_id = job.room_id
                                AND participant.left_at IS NULL AND participant.tracks <> '[]'
                                AND participant.kind <> 'RENDER')
               -- A render keeps the session live: beside one, it counts when the last of the people left.
               AND greatest(job.started_at,
                     CASE WHEN EXISTS (SELECT FROM participant WHERE participant.room_id = job.room_id
                                        AND participant.left_at IS NULL AND participant.kind = 'RENDER')
                          THEN (SELECT max(left_at) FROM participant
                                 WHERE participant.room_id = job.room_id AND participant.kind <> 'RENDER')
                          ELSE (SELECT max(last_seen_at) FROM session WHERE session.room_id = job.room_id) END)
                   < now() - job.idle_timeout_ms * interval '1 millisecond'))`;
    for (const reason of new Set(over.map((job) => job.reason))) {
      const ids = over.filter((job) => job.reason === reason).map(({ id }) => id);
      log.info({ jobIds: ids, reason }, 'jobs of rooms are ended, as nobody is there for them any more');
      for (const { jobId, error } of await ends.endAll(ids, reason))
        log.warn({ jobId, err: error }, 'a job of a room could not be ended yet');
    }
  }

  return {
    async look() {
      await adopt();
      // Ending asks the engine, which may be away: what goes live must be recorded all the same.
      await Promise.all([begin(), end()]);
    },
  };
}

/** The rooms role: knows who is in which room, what is live, and how well. Of several such processes one works at a time. */
import type { Logger } from 'pino';
import { type Config, requireDatabaseUrl, requireMediaServer } from '../src/config.js';
import { createDatabase } from '../src/db.js';
import { createWake } from '../src/events/outbox.js';
import { createMediaLink } from '../src/media/media-link.js';
import { createJobEnds } from '../src/services/job-ends.js';
import { createLostRenders } from '../src/services/lost-renders.js';
import { createRoomRecordings } from '../src/services/room-recordings.js';
import { createJobStarter } from '../src/services/start-job.js';
import { createEngine, createTemporalClient } from '../src/temporal/client.js';
import { startIngest } from './ingest/ingest.js';
import { startRooms } from './rooms/rooms.js';
import { takeTurns, type Work } from './rooms/turn.js';
import type { RunningWorker } from './temporal-worker.js';

/** Names the lock under which exactly one process in the cluster keeps rooms. */
const roomsLock = 7_263_002;

export async function startRoomsWorker(config: Config, log: Logger): Promise<RunningWorker> {
  const url = requireDatabaseUrl(config);
  const address = requireMediaServer(config);

  async function work(): Promise<Work> {
    const db = createDatabase(url);
    const media = createMediaLink({ address, log });
    const client = createTemporalClient(config);
    const engine = createEngine(client);
    const wake = createWake(db);
    const starter = createJobStarter({ db, wake, config, engine });
    const looks = [
      createRoomRecordings({ db, config, ends: createJobEnds({ db, config, engine }), starter, log }).look,
      createLostRenders({ db, media, log }).look,
    ];
    const free = async () => {
      await media.close();
      await client.connection.close();
      await db.$disconnect();
    };
    try {
      const rooms = await startRooms({
        ...{ db, media, looks, log },
        eventsPort: config.media.eventsPort,
        sessionGraceMs: config.sessionGraceMs,
      });
      const { secret, ...ports } = config.ingest;
      const ingest = secret
        ? await startIngest({
            ...{
              address: {
                secret,
                ...ports,
                rtmpPort: config.media.rtmpPort,
                srtPort: config.media.srtPort,
                host: config.host,
              },
              db,
              media,
              log,
            },
            tools: config.recorder,
            onStats: rooms.state.reportStats,
          }).catch(async (error) => {
            await rooms.close();
            throw error;
          })
        : undefined;
      return {
        async close() {
          await ingest?.close();
          await rooms.close();
          await free();
        },
      };
    } catch (error) {
      await free();
      throw error;
    }
  }

  const turn = takeTurns({ url, lock: roomsLock, work, log });
  let end: () => void = () => {};
  const done = new Promise<void>((resolve) => {
    end = resolve;
  });
  await turn.settled;
  return {
    done,
    async close() {
      await turn.close();
      end();
    },
  };
}

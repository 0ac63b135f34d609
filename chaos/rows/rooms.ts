/** Faults of what rooms stand on: a recording goes on, and whoever was in the room comes back by themselves. */
import { uuidOf } from '../../schema/ids.js';
import { loadConfig } from '../../src/config.js';
import { fillRoom } from '../../stack/demo/people.js';
import type { ProcessName } from '../../stack/stack.js';
import { eventually } from '../patience.js';
import { startRoomRecording } from '../recording.js';
import type { Account, Row, Trial } from '../row.js';
import { killAndWait, restartMs } from './services.js';
import { breakWhileRecording } from './trial.js';

const limitMs = 60_000;
/** Media needs the media server; pages come back to it after 0.25 s or more, and their first picture takes its time. */
const backMs = 6_000;
/** From a picture that is sent to its being shown, at most. */
const underwayMs = 500;

interface RoomFault {
  process: ProcessName;
  /** How long nobody may be seen, milliseconds. */
  awayMs: number;
  /** When all was well again in the room after the fault, if it is. */
  recovered(trial: Trial, roomId: string, faultAt: Date): Promise<Date | undefined>;
}

/** Records a room with one person, kills a process, and waits until all is well in the room. */
async function breakRoom(trial: Trial, { process, awayMs, recovered }: RoomFault): Promise<Account> {
  const { bed } = trial;
  const { chromium } = loadConfig().recorder;
  const room = await fillRoom(bed.kit.tapedeck, { url: bed.stack.url, chromium, count: 1 });
  const rowId = uuidOf(room.roomId, ['Room']) as string;
  try {
    return await breakWhileRecording(
      trial,
      async (recording) => {
        const faultAt = Date.now();
        // What was on its way is lost too.
        if (awayMs > 0) recording.away.push({ from: faultAt - underwayMs, to: faultAt + awayMs });
        await killAndWait(bed, process);
      },
      (_, faultAt) =>
        eventually('the room to be well', limitMs, async () =>
          (await recovered(trial, rowId, new Date(faultAt)))?.getTime(),
        ),
      () => startRoomRecording(bed, room.roomId),
    );
  } finally {
    await room.close();
  }
}

export const roomRows: Row[] = [
  {
    name: 'janus-kill',
    about: 'kill -9 of the media server while a room is recorded: whoever was in it comes back by themselves',
    promise: () => ({ lostMs: backMs, recoveryMs: backMs }),
    run: (trial) =>
      breakRoom(trial, {
        ...{ process: 'janus', awayMs: backMs },
        async recovered({ bed }, roomId, faultAt) {
          const where = { roomId, leftAt: null, publishedAt: { gt: faultAt } };
          return (await bed.db.participant.findFirst({ where }))?.publishedAt ?? undefined;
        },
      }),
  },
  {
    name: 'rooms-worker-kill',
    about: 'kill -9 of the rooms worker while a room is recorded: its session goes on, and what it counts',
    promise: () => ({ lostMs: 0, recoveryMs: restartMs }),
    run: (trial) =>
      breakRoom(trial, {
        ...{ process: 'rooms', awayMs: 0 },
        async recovered({ bed }, roomId, faultAt) {
          const where = { updatedAt: { gt: faultAt }, session: { roomId, endedAt: null, createdAt: { lt: faultAt } } };
          return (await bed.db.sessionStats.findFirst({ where }))?.updatedAt;
        },
      }),
  },
];

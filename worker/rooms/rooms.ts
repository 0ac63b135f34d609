/** Keeps rooms, their sessions and statistics in the database up to date with one media server, for as long as it is started. */
import type { Logger } from 'pino';
import type { Database } from '../../src/db.js';
import { createWake } from '../../src/events/outbox.js';
import { listenForMediaEvents } from '../../src/media/janus/event-feed.js';
import type { MediaLink } from '../../src/media/media-link.js';
import { type Repeated, repeat } from '../../src/repeat.js';
import { createLiveSessions } from '../../src/services/live-sessions.js';
import { createParticipants } from '../../src/services/participants.js';
import { createRoomChanges } from '../../src/services/room-changes.js';
import { createRoomsState, type RoomsState } from './rooms-state.js';
import { createSessionStats } from './session-stats.js';

/** What was missed is noticed this late, unless something says that it was. */
const checkIntervalMs = 10_000;
/** After a doubt: what the media server held back while nobody listened comes first. */
const doubtMs = 1_000;
const turnIntervalMs = 1_000;
const lookIntervalMs = 2_000;

/** Looks at the database for what is to be done about rooms and sessions: does it, and does nothing when it is done. */
export type Look = () => Promise<void>;

export interface Rooms {
  state: RoomsState;
  /** Where the media server reports. */
  eventsPort: number;
  close(): Promise<void>;
}

/**
 * `looks` are had every 2 s, and at once when a session begins or ends. `eventsPort` 0: any free one. Throws when the database
 * is away, or the port is taken.
 */
export async function startRooms(options: {
  db: Database;
  media: Pick<MediaLink, 'get'>;
  eventsPort: number;
  sessionGraceMs: number;
  looks: readonly Look[];
  log: Logger;
}): Promise<Rooms> {
  const { db, media, sessionGraceMs, looks, log } = options;
  const wake = createWake(db);
  const change = createRoomChanges({ db, wake });
  const sessions = createLiveSessions({ db, change, graceMs: sessionGraceMs });
  const participants = createParticipants({ db, change, sessions });
  const stats = createSessionStats({ db, wake });
  let looking: Repeated | undefined;
  let checking: Repeated | undefined;
  let doubt: NodeJS.Timeout | undefined;
  const state = createRoomsState({
    ...{ db, participants, sessions, stats, media, log },
    onSessionChange: () => looking?.now(),
    onDoubt() {
      clearTimeout(doubt);
      doubt = setTimeout(() => checking?.now(), doubtMs);
    },
  });
  // Before anything is reported: what was counted already must be known by then.
  await state.load();
  const feed = await listenForMediaEvents({ port: options.eventsPort, log, onEvent: state.report });

  const failed = (what: string) => (error: unknown) => log.warn({ err: error }, `${what} failed, trying again`);
  checking = repeat(checkIntervalMs, state.check, (error) => {
    failed('comparing rooms with the media server')(error);
    doubt = setTimeout(() => checking?.now(), doubtMs);
  });
  const turning = repeat(
    turnIntervalMs,
    async () => {
      await stats.turn(state, Date.now());
      await state.endSessions();
    },
    failed('measuring sessions'),
  );
  looking = repeat(
    lookIntervalMs,
    async () => {
      for (const look of looks) await look().catch(failed('looking after rooms'));
    },
    failed('looking after rooms'),
  );
  const repeated = [checking, turning, looking];

  return {
    state,
    eventsPort: feed.port,
    async close() {
      await feed.close();
      clearTimeout(doubt);
      await Promise.all(repeated.map((each) => each.close()));
      clearTimeout(doubt);
      await state.idle();
    },
  };
}

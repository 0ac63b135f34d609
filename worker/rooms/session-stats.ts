/** The statistics of live sessions, and the health of who publishes in them: measured and written once a second. */
import type { Database } from '../../src/db.js';
import { statsChannel, type Wake } from '../../src/events/outbox.js';
import type { MediaServerEvent } from '../../src/media/media-server.js';
import { type Health, isSameHealth } from '../../src/services/participants.js';
import { isPublishing, type Participant, type RoomNow } from '../../src/services/room-changes.js';
import { createHealthWatch, type HealthWatch } from './health.js';
import type { RoomsState } from './rooms-state.js';
import { type Counted, createTraffic } from './traffic.js';

/** After a second turn this late, reports may still wait for us to read them: silence is ours. */
const lateMs = 2_500;

type Report = Extract<MediaServerEvent, { type: 'stats' | 'receiving' | 'slow-link' }>;

export interface SessionStats {
  report(event: Report, now: number): void;
  /** A session is, or becomes, live: goes on with what was counted of it, and answers who watched. */
  begin(sessionId: string): Promise<Pick<Counted, 'watchers'>>;
  end(sessionId: string): void;
  /** Measures all live sessions and writes what is new. `now`: epoch milliseconds. */
  turn(state: RoomsState, now: number): Promise<void>;
}

interface Measured {
  session_id: string;
  is_seen: boolean;
  /** Whether there is more to tell than that nothing happens. */
  is_busy: boolean;
  bytes: string;
  ingest_rate: number;
  outgoing_rate: number;
  is_healthy: boolean | null;
  issues: string[];
  counters: Counted;
}

export function createSessionStats({ db, wake }: { db: Database; wake: Wake }): SessionStats {
  const traffic = createTraffic();
  const watches = new Map<string, HealthWatch>();
  const sourceBytes = new Map<string, bigint>();
  /** Sessions in which something was to be measured in the last turn. */
  let busy = new Set<string>();
  let turnedAt: number | null = null;

  function watchOf(mediaId: string): HealthWatch {
    const watch = watches.get(mediaId) ?? createHealthWatch();
    watches.set(mediaId, watch);
    return watch;
  }

  function healthOf({ mediaId, name, kind, tracks }: Participant, now: number, heardSince: number | null): Health {
    const publication = { name, tracks, isConnected: kind === 'BROWSER', isPage: kind === 'RENDER' };
    return watchOf(mediaId).look(publication, (mid) => traffic.arrival(mediaId, mid), now, heardSince);
  }

  /** What was in the room's session since the last turn; null when it has none. */
  function measure(room: RoomNow, there: readonly string[], health: readonly Health[], now: number): Measured | null {
    if (!room.session) return null;
    const { id: sessionId } = room.session;
    const before = sourceBytes.get(sessionId);
    if (before === undefined) return null;
    const sum = (of: (mediaId: string) => number) => there.reduce((total, mediaId) => total + of(mediaId), 0);
    const more = Math.round(sum(traffic.take));
    const bytes = before + BigInt(more);
    sourceBytes.set(sessionId, bytes);
    const isSeen = room.present.some(isPublishing);
    const ingestRate = sum((mediaId) => traffic.ingestRate(mediaId, now));
    const outgoingRate = sum((mediaId) => traffic.outgoingRate(mediaId, now));
    return {
      session_id: sessionId,
      is_seen: isSeen,
      is_busy: isSeen || more + ingestRate + outgoingRate > 0,
      bytes: String(bytes),
      ingest_rate: ingestRate,
      outgoing_rate: outgoingRate,
      ...together(health),
      counters: traffic.counted(there),
    };
  }

  /** While nobody hears the media server, nobody knows whether something is published. */
  async function write(rows: Measured[], isInTouch: boolean): Promise<void> {
    const seen = isInTouch ? rows.filter(({ is_seen }) => is_seen).map(({ session_id }) => session_id) : [];
    await db.$executeRaw`
      WITH report AS (
        SELECT * FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS report(
          session_id uuid, bytes bigint, ingest_rate float8, outgoing_rate float8, is_healthy bool, issues text[], counters jsonb)),
      seen AS (
        UPDATE session SET last_seen_at = now() WHERE id = ANY (${seen}::uuid[]) AND ended_at IS NULL)
      INSERT INTO session_stats (session_id, source_bytes, transcoded_bytes, ingest_rate, outgoing_rate, is_healthy, issues,
                                 counters, updated_at)
      SELECT session.id, bytes, 0, ingest_rate, outgoing_rate, is_healthy, issues, counters, now()
        FROM report JOIN session ON session.id = report.session_id AND session.ended_at IS NULL
      ON CONFLICT (session_id) DO UPDATE SET
        source_bytes = excluded.source_bytes, ingest_rate = excluded.ingest_rate, outgoing_rate = excluded.outgoing_rate,
        is_healthy = excluded.is_healthy, issues = excluded.issues, counters = excluded.counters,
        updated_at = excluded.updated_at`;
    wake(statsChannel);
  }

  return {
    report(event, now) {
      if (event.type === 'stats') {
        traffic.report(event, now);
        if (event.issues) watchOf(event.mediaId).advise(event.issues);
      } else if (event.type === 'receiving') watchOf(event.mediaId).receiving(event.mid, event.receiving);
      // What is lost on the way to a participant is not what it publishes.
      else if (event.uplink) watchOf(event.mediaId).slowLink(now);
    },

    async begin(sessionId) {
      if (sourceBytes.has(sessionId)) return { watchers: [] };
      const row = await db.sessionStats.findUnique({ where: { sessionId } });
      const counters = (row?.counters ?? {}) as Partial<Counted>;
      traffic.restore({ received: counters.received ?? {} });
      sourceBytes.set(sessionId, row?.sourceBytes ?? 0n);
      // Its last rates may be of long ago.
      if (counters.received) busy.add(sessionId);
      return { watchers: counters.watchers ?? [] };
    },

    end: (sessionId) => void sourceBytes.delete(sessionId),

    async turn(state, now) {
      const isLate = turnedAt !== null && now - turnedAt > lateMs;
      turnedAt = now;
      const homes = state.homes.byRoom();
      const present = new Set<string>();
      const rows: Measured[] = [];
      for (const room of state.rooms.values()) {
        const health = room.present.filter(isPublishing).map((participant): Health => {
          present.add(participant.mediaId);
          const { isHealthy, issues, mediaId } = participant;
          if (isLate) return { isHealthy, issues };
          const found = healthOf(participant, now, state.heardSince);
          if (!isSameHealth(found, { isHealthy, issues })) state.judge(room.roomId, mediaId, found);
          return found;
        });
        const measured = measure(room, homes.get(room.roomId) ?? [], health, now);
        // Once more when nothing comes and goes any longer, to say so.
        if (measured && (measured.is_busy || busy.has(measured.session_id))) rows.push(measured);
      }
      for (const mediaId of watches.keys()) if (!present.has(mediaId)) watches.delete(mediaId);
      traffic.forget(now);
      state.homes.forget(now);
      if (rows.length > 0) await write(rows, state.isInTouch(now));
      busy = new Set(rows.filter(({ is_busy }) => is_busy).map(({ session_id }) => session_id));
    },
  };
}

/** The health of a session is that of all who publish in it. */
function together(each: readonly Health[]): { is_healthy: boolean | null; issues: string[] } {
  const issues = each.flatMap((health) => health.issues);
  if (each.some(({ isHealthy }) => isHealthy === false)) return { is_healthy: false, issues };
  return { is_healthy: each.some(({ isHealthy }) => isHealthy) ? true : null, issues };
}

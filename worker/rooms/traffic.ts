/** What the media server counts, connection by connection, made into what came from and went to each participant. */
import { isVisible } from '../../src/media/identity.js';
import type { MediaServerEvent, MediaTrackStats } from '../../src/media/media-server.js';

export type StatsEvent = Extract<MediaServerEvent, { type: 'stats' }>;

/** Rates and losses are of so long. */
const windowMs = 5_000;
/** Connections that were not reported for this long are over. */
const forgottenMs = 60_000;
/** One that is not reported for this long carries nothing now. */
const silentMs = 3_000;

/** The counters of one track of one connection, at one moment of the media server's clock. */
interface Sample {
  at: number;
  received: number;
  sent: number;
  packets: number;
  lost: number;
}

/** One track of one connection. */
interface Counter {
  mid: string;
  samples: Sample[];
  /** When its media last came: by the media server's clock, and by ours. */
  grewAt: number | null;
  grewHere: number | null;
  /** By our clock. */
  reportedAt: number;
  /** Bytes received that were handed out, and those that came before the counters began again. */
  taken: number;
  carried: number;
}

/** What is known of a track that somebody publishes, over the last seconds. */
export interface Arrival {
  /** When media last came, by our clock; null when none ever came. */
  grewAt: number | null;
  /** For how long the media server has seen none, milliseconds. */
  quietMs: number;
  /** By our clock. */
  reportedAt: number;
  /** Length of what the following is of, milliseconds: up to 5 s. */
  spanMs: number;
  bytes: number;
  packets: number;
  lost: number;
}

/** What must be known of a session to count on: bytes that were counted, by connection and track, and who watched. */
export interface Counted {
  received: Record<string, number>;
  watchers: string[];
}

export type Traffic = ReturnType<typeof createTraffic>;

/** Times are epoch milliseconds by our own clock, but for those in events. */
export function createTraffic() {
  const participants = new Map<string, Map<string, Counter>>();
  /** By media id and counter: what was counted before this process began. */
  const countedBefore = new Map<string, number>();

  const keyOf = (connection: string, mid: string) => `${connection}/${mid}`;
  const longKey = (mediaId: string, key: string) => `${mediaId}/${key}`;
  const countersOf = (mediaId: string): [string, Counter][] => [...(participants.get(mediaId) ?? [])];

  function takeTrack(counters: Map<string, Counter>, event: StatsEvent, stats: MediaTrackStats, now: number): void {
    const key = keyOf(event.connection, stats.mid);
    const sample: Sample = {
      at: event.at,
      received: stats.bytesReceived,
      sent: stats.bytesSent,
      packets: stats.packetsReceived,
      lost: stats.packetsLost,
    };
    let counter = counters.get(key);
    if (!counter) {
      const before = countedBefore.get(longKey(event.mediaId, key)) ?? 0;
      // Fewer than were counted before: the connection is another one.
      const taken = before <= sample.received ? before : 0;
      const came = sample.received > 0;
      counter = {
        ...{ mid: stats.mid, samples: [], grewAt: came ? event.at : null, grewHere: came ? now : null },
        ...{ reportedAt: now, taken, carried: 0 },
      };
      counters.set(key, counter);
    }
    const last = counter.samples.at(-1);
    if (last && sample.at < last.at) return;
    if (last && (sample.received < last.received || sample.sent < last.sent)) {
      counter.carried += last.received - counter.taken;
      counter.taken = 0;
      counter.samples = [];
    }
    if (sample.received > (counter.samples.at(-1)?.received ?? 0)) {
      counter.grewAt = event.at;
      counter.grewHere = now;
    }
    counter.reportedAt = now;
    counter.samples.push(sample);
    while ((counter.samples[1]?.at ?? Number.POSITIVE_INFINITY) <= sample.at - windowMs) counter.samples.shift();
  }

  /** Bytes per second over the last seconds. */
  function rate(mediaId: string, of: 'received' | 'sent', now: number): number {
    let sum = 0;
    for (const [, { samples, reportedAt }] of countersOf(mediaId)) {
      const [first, last] = [samples[0], samples.at(-1)];
      if (!first || !last || last.at <= first.at || now - reportedAt > silentMs) continue;
      sum += ((last[of] - first[of]) / (last.at - first.at)) * 1_000;
    }
    return sum;
  }

  return {
    report(event: StatsEvent, now: number): void {
      let counters = participants.get(event.mediaId);
      if (!counters) {
        counters = new Map();
        participants.set(event.mediaId, counters);
      }
      for (const stats of event.tracks) takeTrack(counters, event, stats, now);
    },

    /** The track that a participant publishes as `mid`, of its newest connection; undefined when nothing was reported of it. */
    arrival(mediaId: string, mid: string): Arrival | undefined {
      const counters = countersOf(mediaId).flatMap(([, counter]) => (counter.mid === mid ? [counter] : []));
      // Its other connections, on which it watches others, have the same names of tracks, and receive nothing.
      const [counter] = counters.sort((a, b) => (b.grewHere ?? 0) - (a.grewHere ?? 0) || b.reportedAt - a.reportedAt);
      const [first, last] = [counter?.samples[0], counter?.samples.at(-1)];
      if (!counter || !first || !last) return undefined;
      return {
        grewAt: counter.grewHere,
        quietMs: counter.grewAt === null ? 0 : last.at - counter.grewAt,
        reportedAt: counter.reportedAt,
        spanMs: last.at - first.at,
        bytes: last.received - first.received,
        packets: last.packets - first.packets,
        lost: Math.max(0, last.lost - first.lost),
      };
    },

    ingestRate: (mediaId: string, now: number): number => rate(mediaId, 'received', now),
    outgoingRate: (mediaId: string, now: number): number => rate(mediaId, 'sent', now),

    /** Bytes that came from the participant since this was last asked. */
    take(mediaId: string): number {
      let bytes = 0;
      for (const [, counter] of countersOf(mediaId)) {
        const received = counter.samples.at(-1)?.received ?? counter.taken;
        bytes += counter.carried + received - counter.taken;
        counter.carried = 0;
        counter.taken = received;
      }
      return bytes;
    },

    /** What of these participants was taken. */
    counted(mediaIds: readonly string[]): Counted {
      const received = mediaIds
        .filter(isVisible)
        .flatMap((mediaId) =>
          countersOf(mediaId).flatMap(([key, { taken }]): [string, number][] =>
            taken > 0 ? [[longKey(mediaId, key), taken]] : [],
          ),
        );
      return {
        received: Object.fromEntries(received),
        watchers: mediaIds.filter((mediaId) => !isVisible(mediaId) && participants.has(mediaId)),
      };
    },

    /** Goes on where another process counted. Of what was reported already it is too late. */
    restore({ received }: Pick<Counted, 'received'>): void {
      for (const [key, bytes] of Object.entries(received)) countedBefore.set(key, bytes);
    },

    /** Forgets what is over. */
    forget(now: number): void {
      for (const [mediaId, counters] of participants) {
        for (const [key, { reportedAt }] of counters) {
          if (now - reportedAt <= forgottenMs) continue;
          counters.delete(key);
          countedBefore.delete(longKey(mediaId, key));
        }
        if (counters.size === 0) participants.delete(mediaId);
      }
    },
  };
}

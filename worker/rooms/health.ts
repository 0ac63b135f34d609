/** Whether what somebody publishes arrives as it should, from what the media server counts, and what is wrong in words. */
import type { ParticipantTrack } from '../../src/rooms/events.js';
import type { Health } from '../../src/services/participants.js';
import type { Arrival } from './traffic.js';

/** Media that does not come for so long has stopped: audio with silence left out still sends a packet every 0.4 s. */
const frozenMs = 3_000;
/** Reports come every second: after this long there is no connection to report of. */
const unreportedMs = 5_000;
/** A connection may take so long to be made, on a slow machine or network. */
const beginningMs = 8_000;
const highestLoss = 0.05;
/** One packet of a few lost says nothing. */
const fewestPackets = 50;
const lowestBitsPerSecond = 50_000;
/** A report a second: 5 s of them span a little less. */
const fullSpanMs = 4_500;
/** The media server warns when it happens, and again while it goes on. */
const slowLinkMs = 5_000;
/** What was wrong must be well for so long: what comes and goes is one trouble. */
const clearedAfterMs = 3_000;

export interface Publication {
  name: string;
  /** It has a connection of its own, of which the media server reports: packets that are merely sent to it have none. */
  isConnected: boolean;
  /** It is a picture of a page: one that stands still may take next to nothing. */
  isPage: boolean;
  tracks: readonly ParticipantTrack[];
}

export interface HealthWatch {
  /** The media server says that many packets are lost on their way to it. */
  slowLink(now: number): void;
  /** The media server says that media of a track comes, or that none does. */
  receiving(mid: string, isReceiving: boolean): void;
  /** What could be better at the source, whatever arrives. */
  advise(advice: readonly string[]): void;
  /** `since`: when the media server began to report. Null when it does not. */
  look(
    publication: Publication,
    arrivalOf: (mid: string) => Arrival | undefined,
    now: number,
    since: number | null,
  ): Health;
}

/** Watches one participant. All times are epoch milliseconds by one clock. */
export function createHealthWatch(): HealthWatch {
  /** Since when each track should arrive. */
  const expected = new Map<string, number>();
  const notReceived = new Set<string>();
  /** Each trouble, of which track it is, and when it was last there. */
  const troubles = new Map<string, { mid: string | null; at: number }>();
  let slowAt = Number.NEGATIVE_INFINITY;
  let advice: readonly string[] = [];

  /** What is wrong with a track; null while that is not known. */
  function troublesOf(
    { name, isConnected, isPage }: Publication,
    track: ParticipantTrack,
    arrival: Arrival | undefined,
    now: number,
    since: number,
  ): string[] | null {
    const subject = `${name || 'A participant'}, ${track.kind.toLowerCase()} ${track.mid}${track.source ? ` (${track.source})` : ''}`;
    const begunAt = Math.max(since, expected.get(track.mid) ?? now);
    const nothing = [`${subject}: nothing arrives.`];
    if (!arrival && !isConnected) return null;
    if (arrival?.grewAt == null) return now - begunAt > beginningMs ? nothing : null;
    const { grewAt, quietMs, reportedAt, spanMs, bytes, packets, lost } = arrival;
    const hasStopped =
      (quietMs >= frozenMs || notReceived.has(track.mid) || now - reportedAt > unreportedMs) &&
      now - Math.max(grewAt, begunAt) >= frozenMs;
    if (hasStopped) return nothing;
    const wrong: string[] = [];
    if (packets + lost >= fewestPackets && lost / (packets + lost) > highestLoss)
      wrong.push(`${subject}: more than ${highestLoss * 100} % of its packets are lost.`);
    const mayBeStill = isPage || track.source === 'screen';
    const isWhole = spanMs >= fullSpanMs && now - begunAt >= fullSpanMs;
    if (track.kind === 'VIDEO' && !mayBeStill && isWhole && (bytes * 8_000) / spanMs < lowestBitsPerSecond)
      wrong.push(`${subject}: its bitrate is below ${lowestBitsPerSecond / 1_000} kbit/s.`);
    return wrong;
  }

  return {
    slowLink(now) {
      slowAt = now;
    },
    receiving(mid, isReceiving) {
      if (isReceiving) notReceived.delete(mid);
      else notReceived.add(mid);
    },
    advise(given) {
      advice = given;
    },
    look(publication, arrivalOf, now, since) {
      const { name, tracks } = publication;
      const live = tracks.filter(({ muted }) => !muted);
      for (const mid of expected.keys()) if (!live.some((track) => track.mid === mid)) expected.delete(mid);
      for (const { mid } of live) if (!expected.has(mid)) expected.set(mid, now);
      if (since === null || tracks.length === 0) {
        troubles.clear();
        return { isHealthy: null, issues: [] };
      }
      const found = live.map((track) => troublesOf(publication, track, arrivalOf(track.mid), now, since));
      live.forEach(({ mid }, index) => {
        for (const trouble of found[index] ?? []) troubles.set(trouble, { mid, at: now });
      });
      if (now - slowAt < slowLinkMs)
        troubles.set(`${name || 'A participant'}: the link to the media server loses packets.`, { mid: null, at: now });
      for (const [trouble, { mid, at }] of troubles) {
        const isOver = mid !== null && !live.some((track) => track.mid === mid);
        if (isOver || now - at >= clearedAfterMs) troubles.delete(trouble);
      }
      const hints = advice.map((each) => `${name || 'A participant'}: ${each}`);
      const issues = [...[...troubles.keys()].sort(), ...hints];
      if (troubles.size > 0) return { isHealthy: false, issues };
      // A track whose connection is still being made says nothing of the others, but they do not speak for it.
      return found.includes(null) ? { isHealthy: null, issues: [] } : { isHealthy: true, issues };
    },
  };
}

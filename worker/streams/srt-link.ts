/** The figures of an SRT link, as srt-live-transmit reports them: one JSON text a line, totals since it connected. */
import type { LinkStats } from '../../src/jobs/capture.js';

export interface SrtLink {
  /** Takes text as it comes, at `nowMs` of a clock that only goes forward. */
  hear(text: string, nowMs: number): void;
  /** What is known of it at `nowMs`; null before the first report. */
  read(nowMs: number): LinkStats | null;
}

/**
 * Packets between two reports: at 2 Mbit/s two reports a second, at 128 kbit/s one in 8 s. The program counts packets, not time,
 * and says nothing while nothing comes.
 */
export const packetsBetweenReports = 100;
// The link of a slow source is not gone because it says little.
const silentMs = 5_000;
const silentIntervals = 3;
/** One report has some 800 bytes. */
const longestLine = 16_384;

interface Report {
  rttMs: number;
  capacity: number;
  packets: number;
  lost: number;
  dropped: number;
  retransmitted: number;
  bytes: number;
  bufferMs: number;
}

export function createSrtLink(): SrtLink {
  let unread = '';
  let last: { report: Report; atMs: number } | null = null;
  let bitrate = 0;
  let intervalMs = 0;

  return {
    hear(text, nowMs) {
      const lines = (unread + text).split('\n');
      unread = (lines.pop() ?? '').slice(0, longestLine);
      // They are totals: of those that come together the last says it all.
      const report = lines.map(parseReport).findLast((each) => each !== null);
      if (!report) return;
      if (last && nowMs > last.atMs) {
        intervalMs = nowMs - last.atMs;
        bitrate = Math.max(0, Math.round(((report.bytes - last.report.bytes) * 8_000) / intervalMs));
      }
      last = { report, atMs: nowMs };
    },
    read(nowMs) {
      if (!last) return null;
      const { report, atMs } = last;
      const isLive = nowMs - atMs < Math.max(silentMs, silentIntervals * intervalMs);
      return {
        bitrate: isLive ? bitrate : 0,
        rttMs: report.rttMs,
        bufferMs: isLive ? report.bufferMs : 0,
        packetsReceived: report.packets,
        packetsLost: report.lost,
        packetsRetransmitted: report.retransmitted,
        packetsDropped: report.dropped,
        capacity: report.capacity,
        activeStreams: isLive ? 1 : 0,
      };
    },
  };
}

/** Counts of links that followed each other, with the state of the last. */
export function sumLinks(before: LinkStats | null, now: LinkStats | null): LinkStats | null {
  if (!before) return now;
  if (!now) return { ...before, bitrate: 0, bufferMs: 0, activeStreams: 0 };
  return {
    ...now,
    packetsReceived: before.packetsReceived + now.packetsReceived,
    packetsLost: before.packetsLost + now.packetsLost,
    packetsRetransmitted: before.packetsRetransmitted + now.packetsRetransmitted,
    packetsDropped: before.packetsDropped + now.packetsDropped,
  };
}

function parseReport(line: string): Report | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  const { link, recv } = (value ?? {}) as { link?: Record<string, unknown>; recv?: Record<string, unknown> };
  if (!link || !recv) return null;
  const number = (given: unknown) => (typeof given === 'number' && Number.isFinite(given) ? given : 0);
  return {
    rttMs: number(link.rtt),
    capacity: Math.round(number(link.bandwidth) * 1_000_000),
    packets: number(recv.packets),
    lost: number(recv.packetsLost),
    dropped: number(recv.packetsDropped),
    retransmitted: number(recv.packetsRetransmitted),
    bytes: number(recv.bytes),
    bufferMs: number(recv.msBuf),
  };
}

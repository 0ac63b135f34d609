/** Which wall clock time the timestamps of a track stand for, learned from when its packets arrive. */

export interface TrackClock {
  /**
   * Takes a packet that came at `arrivedMs` (epoch). Answers false when its timestamp cannot belong to the same course of time
   * as those before.
   */
  see(timestamp: number, arrivedMs: number): boolean;
  /** From here on what was told of the clock changes by little at a time only: files are written by it. */
  settle(): void;
  /** Epoch milliseconds of a timestamp near those seen last. */
  wallMs(timestamp: number): number;
  /** The timestamp that stands for a time, 32 bits. */
  timestampAt(wallMs: number): number;
  /** The newest timestamp that was seen. */
  newest(): number;
}

// The packet that came fastest is the best clock there is; a device that runs slower than ours is followed by forgetting it.
const windowMs = 10_000;
// 1 % of the time: no picture is ever placed before the one it follows, and a device's clock is not off by a tenth of that.
const slewMsPerSecond = 10;
// No network is that much faster than it was, and no clock runs away so far within two windows.
const jumpMs = 1_000;

/** `rate`: ticks a second. */
export function createTrackClock(rate: number): TrackClock {
  let last: { timestamp: number; ticks: number; arrivedMs: number } | null = null;
  let newest: { timestamp: number; ticks: number } | null = null;
  // Wall clock minus the track's own, milliseconds: of the fastest packet in this window, in the one before, and as it is told.
  let window = { sinceMs: 0, fastestMs: Number.POSITIVE_INFINITY };
  let before = Number.POSITIVE_INFINITY;
  let toldMs = 0;
  let toldAtMs = 0;
  let settled = false;

  const ticksOf = (timestamp: number): number => (last ? last.ticks + ((timestamp - last.timestamp) | 0) : timestamp);

  return {
    see(timestamp, arrivedMs) {
      const ticks = ticksOf(timestamp);
      if (last && last.ticks - ticks > (jumpMs / 1000) * rate) return false;
      last = { timestamp, ticks, arrivedMs };
      if (!newest || ticks > newest.ticks) newest = { timestamp, ticks };
      const offsetMs = arrivedMs - (ticks / rate) * 1000;
      if (arrivedMs - window.sinceMs > windowMs) {
        before = window.fastestMs;
        window = { sinceMs: arrivedMs, fastestMs: offsetMs };
      }
      window.fastestMs = Math.min(window.fastestMs, offsetMs);
      const fastestMs = Math.min(before, window.fastestMs);
      if (settled && Math.abs(fastestMs - toldMs) > jumpMs) return false;
      const mostMs = settled
        ? Math.max(0, (slewMsPerSecond * (arrivedMs - toldAtMs)) / 1000)
        : Number.POSITIVE_INFINITY;
      toldMs += Math.max(-mostMs, Math.min(mostMs, fastestMs - toldMs));
      toldAtMs = arrivedMs;
      return true;
    },
    settle() {
      settled = true;
    },
    wallMs: (timestamp) => (ticksOf(timestamp) / rate) * 1000 + toldMs,
    timestampAt: (wallMs) => {
      const ticks = Math.round(((wallMs - toldMs) / 1000) * rate);
      return last ? (last.timestamp + (ticks - last.ticks)) >>> 0 : ticks >>> 0;
    },
    newest: () => newest?.timestamp ?? 0,
  };
}

/** Sees from a growing part whether media goes on to come, and whether its times go with the clock. */
import type { InputType } from '../../src/recordings/config.js';

// Cameras and encoders send pictures at least every second; a network that is disturbed for less is waited for.
const stallMs = 5_000;
// Playlists grow by pieces of up to ten seconds, and servers are late.
const playlistStallMs = 30_000;
// What is buffered on the way comes at once when a connection is made; more than that is another clock.
const longestLeadMs = 15_000;
// Pictures that come while media time stands still have times that go backwards.
const standstillMs = 3_000;

/** How far a part has come. */
export interface PartState {
  frames: number;
  bytes: number;
  positionMs: number;
}

export type Disturbance = { cause: 'SOURCE_STALLED' | 'SOURCE_CHANGED' | 'TIME_JUMPED'; detail: string };

export interface MediaWatch {
  /** Takes how far the part is; the same may come again. */
  see(part: PartState): void;
  /** What is wrong by now; null while all is well. */
  look(): Disturbance | null;
  /** Nothing has come for so long that somebody should know, though it may be well again. */
  isSilent(): boolean;
}

/** `hasPictures`: they are recorded, so that sound alone is not what was wanted. */
export function createMediaWatch({ type, hasPictures }: { type: InputType; hasPictures: boolean }): MediaWatch {
  const isPlaylist = type === 'HLS' || type === 'DASH';
  const limitMs = isPlaylist ? playlistStallMs : stallMs;
  const startedMs = performance.now();
  let last: PartState | null = null;
  let firstLeadMs = 0;
  let grewMs = startedMs;
  let picturesMs = startedMs;
  let advancedMs = startedMs;
  return {
    see(part) {
      const now = performance.now();
      if (!last) firstLeadMs = part.positionMs - (now - startedMs);
      if (!last || part.bytes > last.bytes) grewMs = now;
      if (!last || part.frames > last.frames) picturesMs = now;
      if (!last || part.positionMs > last.positionMs) advancedMs = now;
      last = part;
    },
    look() {
      if (!last) return null;
      const now = performance.now();
      const silentMs = now - grewMs;
      if (silentMs > limitMs)
        return { cause: 'SOURCE_STALLED', detail: `Nothing came for ${Math.round(silentMs / 1000)} s.` };
      if (isPlaylist) return null;
      const leadMs = last.positionMs - (now - startedMs) - firstLeadMs;
      if (leadMs > longestLeadMs)
        return { cause: 'TIME_JUMPED', detail: `Its times are ${Math.round(leadMs / 1000)} s ahead of the clock.` };
      if (hasPictures && grewMs - picturesMs > stallMs)
        return { cause: 'SOURCE_CHANGED', detail: 'Its pictures ended; other media came on.' };
      if (hasPictures && picturesMs - advancedMs > standstillMs)
        return { cause: 'TIME_JUMPED', detail: 'Its times go backwards.' };
      return null;
    },
    isSilent: () => performance.now() - grewMs > limitMs / 2,
  };
}

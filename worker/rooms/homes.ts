/** Which room each participant of the media server is in, also those that nobody sees. */
import { isVisible } from '../../src/media/identity.js';

/** The last that was counted of somebody who left is heard soon afterwards. */
const countedAfterMs = 10_000;

export type Homes = ReturnType<typeof createHomes>;

/** All times are epoch milliseconds by our own clock. */
export function createHomes() {
  const homes = new Map<string, { roomId: string; enteredAt: number; leftAt: number | null }>();
  return {
    enter(mediaId: string, roomId: string, now: number): void {
      const home = homes.get(mediaId);
      if (home) home.leftAt = null;
      else homes.set(mediaId, { roomId, enteredAt: now, leftAt: null });
    },
    /** Of those that everybody sees these are there, and no others. */
    keepOnly(roomId: string, mediaIds: readonly string[], now: number): void {
      for (const mediaId of mediaIds) this.enter(mediaId, roomId, now);
      for (const [mediaId, home] of homes) {
        if (home.roomId === roomId && isVisible(mediaId) && !mediaIds.includes(mediaId)) home.leftAt ??= now;
      }
    },
    /** Somebody whom nobody saw. */
    forgetUnseen: (mediaId: string): boolean => !isVisible(mediaId) && homes.delete(mediaId),
    /** Rooms in which nobody was at a time: who was unseen there has gone unnoticed. */
    forgetUnseenOutside(occupied: ReadonlySet<string>, at: number): void {
      for (const [mediaId, { roomId, enteredAt }] of homes) {
        if (!isVisible(mediaId) && enteredAt < at && !occupied.has(roomId)) homes.delete(mediaId);
      }
    },
    /** Who is in each room, or was a moment ago. */
    byRoom(): Map<string, string[]> {
      const found = new Map<string, string[]>();
      for (const [mediaId, { roomId }] of homes) {
        const there = found.get(roomId);
        if (there) there.push(mediaId);
        else found.set(roomId, [mediaId]);
      }
      return found;
    },
    forget(now: number): void {
      for (const [mediaId, { leftAt }] of homes) {
        if (leftAt !== null && now - leftAt > countedAfterMs) homes.delete(mediaId);
      }
    },
  };
}

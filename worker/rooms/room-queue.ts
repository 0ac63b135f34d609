/** Work on rooms: in order for each, side by side for different ones. */

export interface RoomQueue {
  /** Does it when everything before it in this room is done, whatever became of that. */
  add<Answer>(roomId: string, work: () => Promise<Answer>): Promise<Answer>;
  /** Resolves when nothing is left to do. */
  idle(): Promise<void>;
}

export function createRoomQueue(): RoomQueue {
  const last = new Map<string, Promise<unknown>>();
  return {
    add(roomId, work) {
      const before = last.get(roomId) ?? Promise.resolve();
      const done = before.then(work, work);
      const settled = done.then(
        () => {},
        () => {},
      );
      last.set(roomId, settled);
      void settled.then(() => {
        if (last.get(roomId) === settled) last.delete(roomId);
      });
      return done;
    },
    async idle() {
      while (last.size > 0) await Promise.all(last.values());
    },
  };
}

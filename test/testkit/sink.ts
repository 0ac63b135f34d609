/** A sink that keeps what it is given as words, so that a test reads like what happened. */
import type { Frame, Sink } from '../../src/events/member.js';
import type { StreamItem } from '../../src/jobs/events.js';

export const numbers = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);
export const json = (value: object) => Buffer.from(JSON.stringify(value));
/** Everything that can happen at once has happened. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Takes what it is given, as text, until it is full. `ends`: what it ended with. */
export function sink(room = Number.POSITIVE_INFINITY) {
  const told: string[] = [];
  const ends: unknown[] = [];
  const made = {
    ...{ told, ends, room },
    write(frames: readonly Frame[]) {
      for (const { bytes } of frames) told.push(wordsOf(JSON.parse(bytes.toString())));
      made.room -= frames.length;
      return made.room > 0;
    },
    onReady: () => {},
    /** Whoever has ended leaves. */
    leave: () => {},
    end(error?: unknown) {
      ends.push(error);
      made.leave();
    },
    makeRoom(more = Number.POSITIVE_INFINITY) {
      made.room = more;
      made.onReady();
    },
  };
  return made satisfies Sink;
}
function wordsOf(item: StreamItem & { value?: number }): string {
  if (item.value !== undefined) return `value ${item.value}`;
  return item.kind === 'lagged' ? `lagged ${item.sequence} ${item.dropped}` : `${item.kind} ${item.sequence}`;
}
export const words = (kind: string, first: number, last: number) =>
  numbers(first, last).map((number) => `${kind} ${number}`);

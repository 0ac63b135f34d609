/** How long may still be recorded: wall time since the first frame counts, gaps included, pauses excluded. */
import type { HostSpec } from '../../src/jobs/capture.js';
import type { Wish } from './wish.js';

export interface TimeLimit {
  /** Takes the wall clock (epoch ms) of a part's first frame; only the first of the job counts. */
  began(at: number): void;
  /** Milliseconds; null as long as nothing was recorded, when all of the maximum duration is left. */
  leftMs(): number | null;
}

/** Time passes while recording is wished; the end moves on by the time from each pause to its record command. */
export function createTimeLimit({ endsAt, maxDurationMs }: HostSpec, wish: Wish): TimeLimit {
  let end = endsAt === null ? null : { at: endsAt, heldMs: 0 };
  return {
    began(at) {
      end ??= { at: at + maxDurationMs, heldMs: wish.heldMs() };
    },
    leftMs: () => (end === null ? null : end.at + wish.heldMs() - end.heldMs - Date.now()),
  };
}

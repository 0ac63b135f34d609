/** Timers that end at a moment, however far it is. */

/** setTimeout takes 32 bits with a sign; whatever is longer would be over at once. */
const longestTimerMs = 2 ** 31 - 1;

/** Calls at that time, epoch milliseconds, and never before; at once when it has passed. Answers how to forget it. */
export function atTime(epochMs: number, call: () => void): () => void {
  let timer: NodeJS.Timeout;
  const wait = () => {
    timer = setTimeout(check, Math.min(Math.max(epochMs - Date.now(), 0), longestTimerMs));
  };
  // Timers count otherwise than clocks do, and fire up to a millisecond early.
  const check = () => (Date.now() < epochMs ? wait() : call());
  wait();
  return () => clearTimeout(timer);
}

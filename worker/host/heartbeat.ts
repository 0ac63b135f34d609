/** One timer for everything that a host looks at once a second: to wake a process costs more than what it does then. */

const beatMs = 1_000;
const listeners = new Set<() => void>();
let timer: NodeJS.Timeout | undefined;

/** Calls the listener once a second. Answers what ends that. */
export function everySecond(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    for (const each of [...listeners]) each();
  }, beatMs);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

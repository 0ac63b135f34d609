/** A task done again and again in the background: at an interval, and at once when asked. */

export interface Repeated {
  /** Does the task now, or once more when it is being done. */
  now(): void;
  /** Waits for the present turn and does no other. */
  close(): Promise<void>;
}

/** Runs `task` now and `intervalMs` after each end; never two turns at once. A failed turn is reported and followed by the next. */
export function repeat(intervalMs: number, task: () => Promise<unknown>, onError: (error: unknown) => void): Repeated {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let again = false;
  let closed = false;

  function turn(): void {
    clearTimeout(timer);
    running = (async () => {
      do {
        again = false;
        try {
          await task();
        } catch (error) {
          if (!closed) onError(error);
        }
      } while (again && !closed);
      running = undefined;
      if (!closed) timer = setTimeout(turn, intervalMs);
    })();
  }
  turn();

  return {
    now() {
      if (running) again = true;
      else if (!closed) turn();
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await running;
    },
  };
}

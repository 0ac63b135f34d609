/** How a process of ours lives under its supervisor: it says when it is ready, and never outlives it. */

/** Messages from the supervisor. */
type Order = { type: 'suspend' };

/** Recordings close their parts within 20 s; all else is quicker. */
const endLimitMs = 30_000;

/**
 * To be called first: whatever the process waits for, in its start or in its end, it is gone 30 s after its supervisor. A
 * database that went with the supervisor would else be waited for, for ever.
 */
export function neverOutliveSupervisor(): void {
  process.once('disconnect', () => setTimeout(() => process.exit(1), endLimitMs));
}

/** Tells the supervisor that this process does its work now. */
export function sayReady(): void {
  process.send?.({ type: 'ready' });
}

export interface GentleEnds {
  /** Puts running work aside first; asked for by the supervisor. */
  suspend?(): Promise<void>;
  /** Takes no new work and resolves when the present work has ended by itself, however long that takes. */
  drain?(): Promise<void>;
  /** The same, with what it does given to others. */
  handOver?(): Promise<void>;
}

/**
 * Calls `close` once and exits afterwards: at SIGTERM or SIGINT or when the supervisor has gone at once, after `suspend` when
 * that was ordered, at SIGQUIT after `drain` and at SIGUSR2 after `handOver`, which the same signal again or any of the others cuts short.
 */
export function endWithSupervisor(close: () => Promise<void>, { suspend, drain, handOver }: GentleEnds = {}): void {
  let ending = false;
  let draining: NodeJS.Signals | null = null;
  const finish = async (first?: () => Promise<void>) => {
    if (ending) return;
    ending = true;
    try {
      await first?.();
      await close();
      process.exit(0);
    } catch {
      process.exit(1);
    }
  };
  process.on('SIGTERM', () => void finish());
  process.on('SIGINT', () => void finish());
  const drainBy = (signal: NodeJS.Signals, way: (() => Promise<void>) | undefined) =>
    process.on(signal, () => {
      // Who drains already may still be told to hand over what it has.
      if (draining === signal || draining === 'SIGUSR2' || !way) return void finish();
      draining = signal;
      void way().then(() => finish());
    });
  drainBy('SIGQUIT', drain);
  drainBy('SIGUSR2', handOver);
  process.on('disconnect', () => void finish());
  process.on('message', (order: Order) => {
    if (order.type === 'suspend') void finish(suspend);
  });
}

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
}

/**
 * Calls `close` once and exits afterwards: at SIGTERM or SIGINT or when the supervisor has gone at once, after `suspend` when
 * that was ordered, and at SIGQUIT after `drain`, which a second SIGQUIT or any of the others cuts short.
 */
export function endWithSupervisor(close: () => Promise<void>, { suspend, drain }: GentleEnds = {}): void {
  let ending = false;
  let draining = false;
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
  process.on('SIGQUIT', () => {
    if (draining || !drain) return void finish();
    draining = true;
    void drain().then(() => finish());
  });
  process.on('disconnect', () => void finish());
  process.on('message', (order: Order) => {
    if (order.type === 'suspend') void finish(suspend);
  });
}

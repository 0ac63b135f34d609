/** How a process of ours lives under its supervisor: it says when it is ready, and never outlives it. */

/** Messages from the supervisor. */
type Order = { type: 'suspend' };

/** Tells the supervisor that this process does its work now. */
export function sayReady(): void {
  process.send?.({ type: 'ready' });
}

/**
 * Calls `end` once, at SIGTERM or SIGINT or when the supervisor has gone, and exits afterwards.
 * `onSuspend` answers the order to put running work aside; the process ends then too.
 */
export function endWithSupervisor(end: () => Promise<void>, onSuspend?: () => Promise<void>): void {
  let ending = false;
  const finish = async (first?: () => Promise<void>) => {
    if (ending) return;
    ending = true;
    try {
      await first?.();
      await end();
      process.exit(0);
    } catch {
      process.exit(1);
    }
  };
  process.on('SIGTERM', () => void finish());
  process.on('SIGINT', () => void finish());
  process.on('disconnect', () => void finish());
  process.on('message', (order: Order) => {
    if (order.type === 'suspend') void finish(onSuspend);
  });
}

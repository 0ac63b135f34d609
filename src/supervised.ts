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
  let ending: Promise<void> | undefined;
  const finish = (first?: () => Promise<void>) => {
    ending ??= (async () => {
      await first?.();
      await end();
    })().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.on('SIGTERM', () => finish());
  process.on('SIGINT', () => finish());
  process.on('disconnect', () => finish());
  process.on('message', (order: Order) => {
    if (order.type === 'suspend') finish(onSuspend);
  });
}

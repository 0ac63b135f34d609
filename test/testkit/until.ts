/** Waiting while time stands still: `expect.poll` would set a clock forward that a test has stopped. */

/** Resolves once it holds; a test that waits in vain is ended by its own limit. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

/** Keeping jobs of the shared stack in the queue. */
import { Client } from 'pg';
import { inject, onTestFinished } from 'vitest';

/**
 * Until it is released, and at most until the test is finished, no job gets a machine: the lock of src/services/placement.ts is held.
 */
export async function holdPlacement(): Promise<() => Promise<void>> {
  const client = new Client({ connectionString: inject('stack').databaseUrl });
  await client.connect();
  await client.query('SELECT pg_advisory_lock(7263001)');
  let isHeld = true;
  const release = async () => {
    if (isHeld) await client.end();
    isHeld = false;
  };
  onTestFinished(release);
  return release;
}

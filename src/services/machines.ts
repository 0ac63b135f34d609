/** The machines that record, as they report themselves. */
import { hostname } from 'node:os';
import type { Database } from '../db.js';
import { placementChannel, type Wake } from '../events/outbox.js';

export function createMachines({ db, wake }: { db: Database; wake: Wake }) {
  return {
    /** A sign of life, with what the machine offers. With `slots` 0 it gets no more jobs. */
    async report(machine: { id: string; version: string; slots: number }): Promise<void> {
      const row = { ...machine, hostname: hostname(), lastSeenAt: new Date() };
      await db.machine.upsert({ where: { id: machine.id }, create: row, update: row });
      wake(placementChannel);
    },
  };
}

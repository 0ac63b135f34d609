/** The machines that record, as they report themselves. */
import { hostname } from 'node:os';
import type { Database } from '../db.js';
import { placementChannel, type Wake } from '../events/outbox.js';
import { announcedStorage } from '../installation.js';

/** A machine that has not reported itself for this long gets no more work; it reports every 5 s. */
export const machineSilenceMs = 15_000;

export interface MachineReport {
  id: string;
  version: string;
  /** How many jobs it takes at once, those that encode and those that only copy what comes; with 0 it gets no more of them. */
  slots: number;
  copySlots: number;
  /** How many pages it can show at once; 0 where it has no browser, or no screen or sound for one. */
  displays: number;
  /** The name under which those who send to its ports reach it. */
  inputHost: string;
  /** It finishes what it has, and takes no more. */
  isDraining: boolean;
  /** Bytes that recordings may still take on its disk; null when unknown. */
  freeBytes: number | null;
  /** Where it puts files (storageIdentity). */
  storageId: string;
  /** Processors, and how many of them were busy on average over the last minute. */
  cpus: number;
  load: number;
  /** Bytes; 0 when unknown. */
  memory: number;
  freeMemory: number;
}

/** What became of a report: with another storage than the API's, or before that is known, a machine offers no slots. */
export type ReportOutcome =
  | { kind: 'offered' }
  | { kind: 'other-storage'; servedFrom: string }
  | { kind: 'storage-unknown' };

export function createMachines({ db, wake }: { db: Database; wake: Wake }) {
  return {
    /** A sign of life, with what the machine offers: nothing, as long as clients could not fetch what it makes. */
    async report({ storageId, ...machine }: MachineReport): Promise<ReportOutcome> {
      const servedFrom = await announcedStorage(db);
      const offered = servedFrom === storageId ? {} : { slots: 0, copySlots: 0 };
      const row = { ...machine, ...offered, hostname: hostname(), lastSeenAt: new Date() };
      await db.machine.upsert({ where: { id: machine.id }, create: row, update: row });
      wake(placementChannel);
      if (servedFrom === null) return { kind: 'storage-unknown' };
      return servedFrom === storageId ? { kind: 'offered' } : { kind: 'other-storage', servedFrom };
    },
  };
}

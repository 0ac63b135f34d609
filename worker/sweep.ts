/** What this machine's disk keeps for too long: hosts, parts and folders of jobs that have ended. */
import { readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { Logger } from 'pino';
import { validate as isUuid } from 'uuid';
import type { Config } from '../src/config.js';
import type { Database } from '../src/db.js';
import type { Prisma } from '../src/generated/prisma/client.js';
import { isTerminal, terminalStates } from '../src/jobs/states.js';
import type { Captures } from '../src/services/captures.js';
import type { PartStore } from '../src/storage/parts.js';
import type { Storage } from '../src/storage/storage.js';
import type { Work } from './activities/work.js';
import { removeDeadScratch } from './capture/dead-scratch.js';
import { removeParts } from './finalize/finalize.js';
import { findRecorded } from './finalize/recorded.js';
import { removeOtherKeys } from './finalize/stored-keys.js';
import { findHost } from './host/client.js';
import { endHost, endHosts, incarnationFolder, incarnationsIn } from './host/folders.js';
import { jobFolder, jobsFolder } from './machine.js';
import { letPartsGo } from './parts-removal.js';
import { jobPrefix, readListing } from './shipping/keys.js';
import { removeWorkFolders } from './work-folder.js';

const rowsAtOnce = 500;
/** Of each kind of removal in one sweep; the next one goes on. */
const removalsAtOnce = 100;
/** A machine that is away for so long leaves what it shipped to the others. */
const machineGoneMs = 24 * 3_600_000;

const swept = {
  id: true,
  state: true,
  incarnation: true,
  endedAt: true,
  partsRemovedAt: true,
} satisfies Prisma.JobSelect;
type SweptJob = Prisma.JobGetPayload<{ select: typeof swept }>;

export interface SweepDeps {
  config: Config;
  db: Database;
  machineId: string;
  captures: Captures;
  parts: PartStore | null;
  storage: Pick<Storage, 'remove'>;
  work: Work;
  log: Logger;
}

export interface Sweep {
  /** Ends hosts that nobody waits for: of jobs that have ended, or that newer incarnations record. To be called before any are started. */
  endStrayHosts(): Promise<void>;
  /** What this machine keeps of jobs whose recording was deleted, which then say that they have nothing here any more. */
  forgetDeleted(): Promise<void>;
  /** All of it. A job that has not ended is never touched, and a folder that no row knows is kept. */
  run(): Promise<void>;
}

export function createSweep(deps: SweepDeps): Sweep {
  const { config, db, machineId, parts, storage, work, log } = deps;
  const longestRetentionMs = Math.max(config.partsRetentionMs, config.failedPartsRetentionMs);
  const strangers = new Set<string>();

  async function rowsOf(jobIds: string[]): Promise<Map<string, SweptJob>> {
    const rows = new Map<string, SweptJob>();
    for (let from = 0; from < jobIds.length; from += rowsAtOnce) {
      const where = { id: { in: jobIds.slice(from, from + rowsAtOnce) } };
      for (const row of await db.job.findMany({ where, select: swept })) rows.set(row.id, row);
    }
    return rows;
  }

  const folders = () => readdirSync(jobsFolder(config)).filter(isUuid);

  async function endStrayHosts(): Promise<void> {
    const hosts = folders().flatMap((jobId) =>
      incarnationsIn(jobFolder(config, jobId))
        .map((incarnation) => ({
          jobId,
          incarnation,
          folder: incarnationFolder(jobFolder(config, jobId), incarnation),
        }))
        .filter(({ folder }) => findHost(folder)),
    );
    const rows = await rowsOf(hosts.map(({ jobId }) => jobId));
    await Promise.all(
      hosts.map(async ({ jobId, incarnation, folder }) => {
        const row = rows.get(jobId);
        if (!row || (!isTerminal(row.state) && row.incarnation <= incarnation)) return;
        log.warn({ jobId, incarnation, state: row.state }, 'a recorder host is not needed any more and is ended');
        await endHost(folder);
      }),
    );
  }

  /** What is due to be removed by its age: the parts of this machine's jobs, and what machines that are gone had shipped. */
  async function letDuePartsGo(): Promise<void> {
    const endedBefore = (keptMs: number) => ({ lt: new Date(Date.now() - keptMs) });
    const seen = { lastSeenAt: { gt: new Date(Date.now() - machineGoneMs) } };
    const present = await db.machine.findMany({ where: seen, select: { id: true } });
    const due = await db.job.findMany({
      where: {
        partsRemovedAt: null,
        AND: [
          { OR: [{ machineId }, ...(parts ? [{ machineId: { notIn: present.map(({ id }) => id) } }] : [])] },
          {
            OR: [
              {
                state: { in: ['COMPLETE', 'PARTIAL'] },
                parts: { none: { incomplete: true } },
                endedAt: endedBefore(config.partsRetentionMs),
              },
              // What is missing may come back with its machine, and be made into other files with what is here.
              { state: 'PARTIAL', endedAt: endedBefore(longestRetentionMs) },
              { state: { in: ['FAILED', 'EXPIRED'] }, endedAt: endedBefore(config.failedPartsRetentionMs) },
              { state: 'CANCELED' },
              // Of which nothing is to be made any more.
              { state: { in: [...terminalStates] }, recording: { deletedAt: { not: null } } },
            ],
          },
        ],
      },
      orderBy: { endedAt: 'asc' },
      take: removalsAtOnce,
      select: { id: true },
    });
    for (const { id } of due) {
      await onJob(id, () => letPartsGo(deps, id));
    }
  }

  async function sweepFolders(): Promise<void> {
    const jobIds = folders();
    const rows = await rowsOf(jobIds);
    const unknown = jobIds.filter((jobId) => !rows.has(jobId) && !strangers.has(jobId));
    if (unknown.length > 0)
      log.warn({ jobIds: unknown, folder: jobsFolder(config) }, 'these folders belong to no known job; they are kept');
    for (const jobId of unknown) strangers.add(jobId);
    let removed = 0;
    for (const row of rows.values()) {
      if (removed >= removalsAtOnce) return;
      if (!isTerminal(row.state)) continue;
      await onJob(row.id, async () => {
        if (await sweepFolder(row)) removed += 1;
      });
    }
  }

  /** True when the folder is gone. */
  async function sweepFolder(row: SweptJob): Promise<boolean> {
    const folder = jobFolder(config, row.id);
    // Whoever let them go did not get to the end of it.
    if (row.partsRemovedAt) await removeParts(folder);
    if (!(await isDue(row, folder))) {
      await removeWorkFolders(folder);
      return false;
    }
    await endHosts(folder);
    await letPartsGo(deps, row.id);
    const results = await db.file.findMany({ where: { jobId: row.id }, select: { storageKey: true } });
    await removeOtherKeys(
      folder,
      results.map(({ storageKey }) => storageKey),
      storage,
    );
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    return true;
  }

  /**
   * A folder goes after its parts. Parts that were not removed with the others were in no result, because they could not be
   * read or because this machine was away: they stay as long as those of a failed job. So do those of an expired one, whose
   * recorder went before its first frame was written down.
   */
  async function isDue({ id, state, endedAt, partsRemovedAt }: SweptJob, folder: string): Promise<boolean> {
    if (state === 'CANCELED') return true;
    const found = await findRecorded(folder);
    const isEmpty = found.parts.length + found.tracks.length === 0;
    if (isEmpty && (partsRemovedAt || (state === 'EXPIRED' && !(await hasShipped(id))))) return true;
    const endedForMs = Date.now() - (endedAt?.getTime() ?? Date.now());
    const wasRecorded = state === 'COMPLETE' || state === 'PARTIAL';
    return endedForMs >= (wasRecorded ? longestRetentionMs : config.failedPartsRetentionMs);
  }

  async function hasShipped(jobId: string): Promise<boolean> {
    const listed = parts ? readListing(jobId, await parts.list(jobPrefix(jobId))) : [];
    return listed.some((incarnation) => incarnation.parts.length > 0);
  }

  async function forgetDeleted(): Promise<void> {
    const jobs = await db.job.findMany({
      where: {
        ...{ recording: { deletedAt: { not: null } }, state: { in: [...terminalStates] } },
        OR: [{ machineId }, { parts: { some: { machineId } } }],
      },
      take: removalsAtOnce,
      select: { id: true, files: { select: { storageKey: true } } },
    });
    for (const { id: jobId, files } of jobs) {
      await onJob(jobId, async () => {
        const folder = jobFolder(config, jobId);
        await endHosts(folder);
        await letPartsGo(deps, jobId);
        const results = files.map(({ storageKey }) => storageKey);
        await removeOtherKeys(folder, results, storage);
        await rm(folder, { recursive: true, force: true, maxRetries: 3 });
        await db.part.updateMany({ where: { jobId, machineId }, data: { machineId: null } });
        await db.job.updateMany({ where: { id: jobId, machineId }, data: { machineId: null } });
      });
    }
  }

  /** Unless somebody works on the job at the moment. What fails is left to the next sweep. */
  async function onJob(jobId: string, task: () => Promise<void>): Promise<void> {
    if (work.isOn(jobId)) return;
    try {
      await work.alone(jobId, task);
    } catch (error) {
      log.warn({ jobId, err: error }, 'what is left of a job could not be removed yet');
    }
  }

  return {
    endStrayHosts,
    forgetDeleted,
    async run() {
      await endStrayHosts();
      await letDuePartsGo();
      await sweepFolders();
      const scratch = await removeDeadScratch();
      if (scratch > 0) log.info({ count: scratch }, 'removed temporary folders of recorder hosts that had died');
    },
  };
}

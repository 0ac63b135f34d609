/** What recorder hosts list of a recording while it goes on: from this machine, or from where pieces are kept besides. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Job } from '../generated/prisma/client.js';
import { isTerminal } from '../jobs/states.js';
import { type LiveList, liveFolder, liveListName } from '../rooms/live-playlist.js';
import type { PartStore } from '../storage/parts.js';

/** Players of one recording ask for the same list all the time; the host writes it every two seconds. */
const listAgeMs = 1_000;

export interface ListedPieces {
  incarnation: number;
  list: LiveList;
}

export interface LiveLists {
  /** Of a job whose files are not made yet; empty where nothing was recorded so far. */
  of(job: Pick<Job, 'id' | 'state' | 'incarnation'>): Promise<ListedPieces[]>;
  /** A file of an incarnation's folder of pieces; null when there is none. */
  read(jobId: string, incarnation: number, name: string): Promise<Buffer | null>;
}

/** `parts`: where recorder hosts keep pieces besides `jobsFolder`, which is of this machine; null: nowhere. */
export function createLiveLists({ parts, jobsFolder }: { parts: PartStore | null; jobsFolder: string }): LiveLists {
  const lists = new Map<string, { readMs: number; list: Promise<LiveList | null> }>();

  async function read(jobId: string, incarnation: number, name: string): Promise<Buffer | null> {
    const here = await readFile(join(jobsFolder, jobId, `i${incarnation}`, liveFolder, name)).catch(() => null);
    return here ?? (await parts?.get(`${jobId}/i${incarnation}/${liveFolder}/${name}`)) ?? null;
  }

  function listOf(jobId: string, incarnation: number): Promise<LiveList | null> {
    const key = `${jobId} ${incarnation}`;
    const now = performance.now();
    const known = lists.get(key);
    if (known && now - known.readMs < listAgeMs) return known.list;
    for (const [other, { readMs }] of lists) if (now - readMs > listAgeMs) lists.delete(other);
    const list = read(jobId, incarnation, liveListName).then(
      (bytes) => bytes && (JSON.parse(bytes.toString('utf8')) as LiveList),
    );
    lists.set(key, { readMs: now, list });
    return list;
  }

  return {
    read,
    async of(job) {
      if (isTerminal(job.state)) return [];
      const numbers = Array.from({ length: job.incarnation }, (_, index) => index + 1);
      const found = await Promise.all(numbers.map((incarnation) => listOf(job.id, incarnation)));
      return found.flatMap((list, index) => (list && list.pieces.length > 0 ? [{ incarnation: index + 1, list }] : []));
    },
  };
}

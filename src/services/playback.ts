/** What plays under a session's playback id: what is being recorded of it while it is live, then what was recorded. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Database } from '../db.js';
import type { File, Job } from '../generated/prisma/client.js';
import { maximalVideoRate, soundRate } from '../jobs/bitrate.js';
import type { PageSource } from '../jobs/capture.js';
import { isTerminal } from '../jobs/states.js';
import {
  type LiveList,
  liveFolder,
  liveListName,
  liveMaster,
  livePieceName,
  livePlaylist,
} from '../rooms/live-playlist.js';
import { masterName } from '../rooms/renditions.js';
import type { PartStore } from '../storage/parts.js';
import type { Storage, StoredFile } from '../storage/storage.js';

const playlistType = 'application/vnd.apple.mpegurl';
/** Players of one session ask for the same list all the time; the host writes it every two seconds. */
const listAgeMs = 1_000;
const ending = ['STOPPING', 'FINALIZING'];

/** `isLasting`: never another under the same name. */
export type Played =
  | { kind: 'bytes'; mediaType: string; bytes: Buffer; isLasting: boolean }
  | { kind: 'file'; file: File; stored: StoredFile };

type PlayedJob = Job & { files: File[] };

export type Playback = ReturnType<typeof createPlayback>;

/** `parts`: where recorder hosts keep pieces besides `jobsFolder`, which is of this machine; null: nowhere. */
export function createPlayback(deps: { db: Database; storage: Storage; parts: PartStore | null; jobsFolder: string }) {
  const { db, storage, parts, jobsFolder } = deps;
  const lists = new Map<string, { readMs: number; list: Promise<LiveList | null> }>();

  /** Newest first. */
  const jobsOf = (playbackId: string): Promise<PlayedJob[]> =>
    db.job.findMany({
      where: { automatic: true, session: { playbackId } },
      orderBy: { id: 'desc' },
      include: {
        files: { where: { deletedAt: null, kind: { in: ['PLAYLIST', 'SEGMENTS'] } }, orderBy: { version: 'desc' } },
      },
    });

  async function readLive(jobId: string, incarnation: number, name: string): Promise<Buffer | null> {
    const here = await readFile(join(jobsFolder, jobId, `i${incarnation}`, liveFolder, name)).catch(() => null);
    return here ?? (await parts?.get(`${jobId}/i${incarnation}/${liveFolder}/${name}`)) ?? null;
  }

  function listOf(jobId: string, incarnation: number): Promise<LiveList | null> {
    const key = `${jobId} ${incarnation}`;
    const now = performance.now();
    const known = lists.get(key);
    if (known && now - known.readMs < listAgeMs) return known.list;
    for (const [other, { readMs }] of lists) if (now - readMs > listAgeMs) lists.delete(other);
    const list = readLive(jobId, incarnation, liveListName).then(
      (bytes) => bytes && (JSON.parse(bytes.toString('utf8')) as LiveList),
    );
    lists.set(key, { readMs: now, list });
    return list;
  }

  /** Of a job whose files are not made yet; empty where nothing was recorded so far. */
  async function liveListsOf(job: Job): Promise<{ incarnation: number; list: LiveList }[]> {
    if (isTerminal(job.state)) return [];
    const numbers = Array.from({ length: job.incarnation }, (_, index) => index + 1);
    const found = await Promise.all(numbers.map((incarnation) => listOf(job.id, incarnation)));
    return found.flatMap((list, index) => (list && list.pieces.length > 0 ? [{ incarnation: index + 1, list }] : []));
  }

  async function liveJob(jobs: readonly PlayedJob[]) {
    for (const job of jobs) {
      const found = await liveListsOf(job);
      if (found.length > 0) return { job, lists: found };
    }
    return null;
  }

  async function open(file: File): Promise<StoredFile | null> {
    return storage.read(file.storageKey, { mediaType: file.mediaType, disposition: 'inline' });
  }

  async function textOf(file: File): Promise<string | null> {
    const stored = await open(file);
    if (!stored) return null;
    if (stored.kind === 'path') return readFile(stored.path, 'utf8');
    const answer = await fetch(stored.url);
    return answer.ok ? answer.text() : null;
  }

  const playlist = (text: string): Played => ({
    ...{ kind: 'bytes', mediaType: playlistType, isLasting: false },
    bytes: Buffer.from(text),
  });

  return {
    /** The master playlist. Null before anything was recorded, for an unknown id, and once it was deleted. */
    async master(playbackId: string): Promise<Played | null> {
      const jobs = await jobsOf(playbackId);
      const live = await liveJob(jobs);
      if (live) {
        const { width, height, fps } = live.job.source as unknown as PageSource;
        const bitrate = maximalVideoRate({ width, height, fps }) + soundRate;
        return playlist(liveMaster(`${playbackId}/live.m3u8`, { width, height, bitrate }));
      }
      for (const { files } of jobs) {
        const master = files.find(({ name }) => name === masterName);
        const text = master && (await textOf(master));
        // What it names lies below this address.
        if (text) return playlist(text.replace(/^(?=[^#\s])/gm, `${playbackId}/`));
      }
      return null;
    },

    /** What a playlist names. */
    async file(playbackId: string, name: string): Promise<Played | null> {
      const jobs = await jobsOf(playbackId);
      if (name === 'live.m3u8') {
        const live = await liveJob(jobs);
        if (!live) return null;
        const uriOf = (incarnation: number, piece: { name: string }) =>
          `live-${live.job.id}-i${incarnation}-${piece.name}`;
        return playlist(livePlaylist(live.lists, { isOver: ending.includes(live.job.state), uriOf }));
      }
      const [, jobId, incarnation, piece = ''] = /^live-([0-9a-f-]{36})-i(\d{1,6})-(.+)$/.exec(name) ?? [];
      if (jobId && livePieceName.test(piece)) {
        if (!jobs.some(({ id }) => id === jobId)) return null;
        const bytes = await readLive(jobId, Number(incarnation), piece);
        return bytes && { kind: 'bytes', mediaType: 'video/mp2t', bytes, isLasting: true };
      }
      const file = jobs.flatMap(({ files }) => files).find((each) => each.name === name);
      const stored = file && (await open(file));
      return stored ? { kind: 'file', file, stored } : null;
    },
  };
}

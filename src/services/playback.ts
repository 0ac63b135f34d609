/** What plays under a playback id: of a session what is being recorded while it is live, then what was recorded; of a job its preview. */
import { readFile } from 'node:fs/promises';
import type { Database } from '../db.js';
import type { File, Job } from '../generated/prisma/client.js';
import { maximalVideoRate, soundRate } from '../jobs/bitrate.js';
import type { PageSource } from '../jobs/capture.js';
import { liveMaster, livePieceName, livePlaylist } from '../rooms/live-playlist.js';
import { masterName } from '../rooms/renditions.js';
import type { Storage, StoredFile } from '../storage/storage.js';
import type { LiveLists } from './live-lists.js';
import { type Previews, previewOf } from './previews.js';

const pieceType = 'video/mp2t';
const playlistType = 'application/vnd.apple.mpegurl';
const ending = ['STOPPING', 'FINALIZING'];

/** `isLasting`: never another under the same name. */
export type Played =
  | { kind: 'bytes'; mediaType: string; bytes: Buffer; isLasting: boolean }
  | { kind: 'file'; file: File; stored: StoredFile };

type PlayedJob = Job & { files: File[] };

export type Playback = ReturnType<typeof createPlayback>;

export function createPlayback({
  db,
  storage,
  live,
  previews,
}: {
  db: Database;
  storage: Storage;
  live: LiveLists;
  previews: Previews;
}) {
  /** Newest first. */
  const jobsOf = (playbackId: string): Promise<PlayedJob[]> =>
    db.job.findMany({
      where: { automatic: true, session: { playbackId } },
      orderBy: { id: 'desc' },
      include: {
        files: { where: { deletedAt: null, kind: { in: ['PLAYLIST', 'SEGMENTS'] } }, orderBy: { version: 'desc' } },
      },
    });

  async function liveJob(jobs: readonly PlayedJob[]) {
    for (const job of jobs) {
      const found = await live.of(job);
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
      const preview = previewOf(playbackId);
      if (preview) {
        const text = await previews.playlist(preview, playbackId);
        return text === null ? null : playlist(text);
      }
      const jobs = await jobsOf(playbackId);
      const going = await liveJob(jobs);
      if (going) {
        const { width, height, fps } = going.job.source as unknown as PageSource;
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
      const preview = previewOf(playbackId);
      if (preview) {
        const bytes = await previews.piece(preview, name);
        return bytes && { kind: 'bytes', mediaType: pieceType, bytes, isLasting: true };
      }
      const jobs = await jobsOf(playbackId);
      if (name === 'live.m3u8') {
        const going = await liveJob(jobs);
        if (!going) return null;
        const uriOf = (incarnation: number, piece: { name: string }) =>
          `live-${going.job.id}-i${incarnation}-${piece.name}`;
        return playlist(livePlaylist(going.lists, { isOver: ending.includes(going.job.state), uriOf }));
      }
      const [, jobId, incarnation, piece = ''] = /^live-([0-9a-f-]{36})-i(\d{1,6})-(.+)$/.exec(name) ?? [];
      if (jobId && livePieceName.test(piece)) {
        if (!jobs.some(({ id }) => id === jobId)) return null;
        const bytes = await live.read(jobId, Number(incarnation), piece);
        return bytes && { kind: 'bytes', mediaType: pieceType, bytes, isLasting: true };
      }
      const file = jobs.flatMap(({ files }) => files).find((each) => each.name === name);
      const stored = file && (await open(file));
      return stored ? { kind: 'file', file, stored } : null;
    },
  };
}

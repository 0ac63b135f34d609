/** What any running job records, to look at meanwhile: made for as long as somebody asks for it, by its recorder. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse, stringify } from 'uuid';
import { isSameHash } from '../auth/tokens.js';
import type { Config } from '../config.js';
import type { Database } from '../db.js';
import type { Job } from '../generated/prisma/client.js';
import type { Source } from '../jobs/capture.js';
import { previewWantedMs } from '../jobs/preview.js';
import { hasBegun, isTerminal, type JobState } from '../jobs/states.js';
import { livePieceName, livePlaylist, previewPieces } from '../rooms/live-playlist.js';
import type { ListedPieces, LiveLists } from './live-lists.js';

/** Of a preview's id: characters of the job's and of what nobody guesses, 128 bits each. */
const halfLength = 22;
const pattern = /^p([A-Za-z0-9_-]{22})([A-Za-z0-9_-]{22})$/;
/** Players ask every two seconds; the row need not know of each. */
const noteMs = 5_000;
/** The recorder looks at the row every two seconds, and the first piece lasts two. */
const firstPieceMs = 12_000;
const lookMs = 250;
/** The list of a preview that nobody asked for any more. */
const staleMs = 15_000;

const ending: readonly JobState[] = ['STOPPING', 'FINALIZING'];

/** What a preview's id names. */
export interface PreviewId {
  jobId: string;
  secret: string;
}

/** Null for what is the id of something else. */
export function previewOf(playbackId: string): PreviewId | null {
  const [, job, secret] = pattern.exec(playbackId) ?? [];
  if (!job || !secret) return null;
  return { jobId: stringify(Buffer.from(job, 'base64url')), secret };
}

/** Whoever has it may look; nobody can make it up who has not seen the job's token, which is kept nowhere. */
export function previewIdOf(job: Pick<Job, 'id' | 'accessTokenHash'>): string {
  return `p${Buffer.from(parse(job.id)).toString('base64url')}${secretOf(job)}`;
}

function secretOf({ accessTokenHash }: Pick<Job, 'accessTokenHash'>): string {
  return createHash('sha256').update('preview\n').update(accessTokenHash).digest('base64url').slice(0, halfLength);
}

export type Previews = ReturnType<typeof createPreviews>;

export function createPreviews(deps: { db: Database; live: LiveLists; config: Pick<Config, 'publicUrl'> }) {
  const { db, live, config } = deps;
  const noted = new Map<string, number>();

  /** The job, if the id is its own and it is not over. */
  async function find({ jobId, secret }: PreviewId): Promise<Job | null> {
    const job = await db.job.findUnique({ where: { id: jobId } });
    if (!job || isTerminal(job.state)) return null;
    return isSameHash(Buffer.from(secretOf(job)), Buffer.from(secret)) ? job : null;
  }

  async function want({ id, state }: Job): Promise<void> {
    const now = performance.now();
    if (ending.includes(state) || now - (noted.get(id) ?? Number.NEGATIVE_INFINITY) < noteMs) return;
    for (const [other, atMs] of noted) if (now - atMs > previewWantedMs) noted.delete(other);
    noted.set(id, now);
    await db.job.updateMany({ where: { id }, data: { previewWantedAt: new Date() } });
  }

  async function freshLists(job: Job): Promise<ListedPieces[]> {
    const lists = await live.of(job);
    const newest = Math.max(0, ...lists.map(({ list }) => list.pieces.at(-1)?.at ?? 0));
    return Date.now() - newest > staleMs && !ending.includes(job.state) ? [] : lists;
  }

  return {
    /** Where a job can be looked at while it records; null before and after, and where there is no one picture of it. */
    urlOf(job: Pick<Job, 'id' | 'state' | 'source' | 'accessTokenHash'>): string | null {
      const { kind } = job.source as unknown as Source;
      return hasBegun(job.state) && kind !== 'people' ? `${config.publicUrl}/play/${previewIdOf(job)}.m3u8` : null;
    },

    /** The playlist; waits for the first piece of what nobody has looked at lately. Null when there is nothing to see. */
    async playlist(preview: PreviewId, playbackId: string): Promise<string | null> {
      const job = await find(preview);
      if (!job) return null;
      await want(job);
      for (const untilMs = performance.now() + firstPieceMs; ; await sleep(lookMs)) {
        const lists = await freshLists(job);
        if (lists.length > 0) {
          const uriOf = (incarnation: number, piece: { name: string }) => `${playbackId}/i${incarnation}-${piece.name}`;
          return livePlaylist(lists, { isOver: ending.includes(job.state), uriOf, most: previewPieces });
        }
        if (performance.now() > untilMs || ending.includes(job.state)) return null;
      }
    },

    async piece(preview: PreviewId, name: string): Promise<Buffer | null> {
      const [, incarnation, piece = ''] = /^i(\d{1,6})-(.+)$/.exec(name) ?? [];
      if (!incarnation || !livePieceName.test(piece) || !(await find(preview))) return null;
      return live.read(preview.jobId, Number(incarnation), piece);
    },
  };
}

/** What clients may ask to be captured: a page by its URL, or a room by its id, name or session. */
import * as z from 'zod';
import type { Tenant } from '../auth/viewer.js';
import type { Database } from '../db.js';
import { type Layout, layouts } from '../jobs/capture.js';
import { priorities } from '../jobs/queue-order.js';
import { NotFoundError, ValidationError } from './errors.js';
import type { UrlCheck } from './page-urls.js';
import { plainText } from './requests.js';

/** Even, because the video format halves the picture for colour. Odd ones are rounded up. */
export const side = (least: number, most: number, usual: number) =>
  z
    .int(`must be a whole number of pixels from ${least} to ${most}`)
    .min(least, `must be at least ${least} pixels`)
    .max(most, `must be at most ${most} pixels`)
    .nullish()
    .transform((pixels) => {
      const wanted = pixels ?? usual;
      return wanted + (wanted % 2);
    });

/** Whole seconds from `least` to `most`. */
export const wholeSeconds = (least: number, most: number) =>
  z
    .int('must be a whole number of seconds')
    .min(least, `must be at least ${least.toLocaleString('en')} second${least === 1 ? '' : 's'}`)
    .max(most, `must be at most ${most.toLocaleString('en')} seconds`);

export const jobName = (usual: string) =>
  plainText
    .max(200, 'is longer than 200 characters')
    .nullish()
    .transform((name) => name?.trim() || usual);

/** Which go first of the jobs of a project that wait. */
export const priorityRule = z
  .enum(priorities)
  .nullish()
  .transform((given) => priorities.indexOf(given ?? 'NORMAL'));

export const pageUrl = z.string().min(1, 'is empty').max(2048, 'is longer than 2,048 characters');

/** The fields with which a client says what is captured. */
export const sourceFields = {
  url: pageUrl.nullish(),
  roomId: z.string().nullish(),
  roomName: z.string().nullish(),
  sessionId: z.string().nullish(),
  layout: z.enum(layouts).nullish(),
};

export interface SourceWish {
  url?: string | null | undefined;
  /** These are uuids. */
  roomId?: string | null | undefined;
  sessionId?: string | null | undefined;
  roomName?: string | null | undefined;
  layout?: Layout | null | undefined;
}

export interface FoundSource {
  /** Null: the viewer page of the room. */
  url: string | null;
  room: { roomId: string; layout: Layout } | null;
  /** The live session of the room, if there is one. */
  sessionId: string | null;
}

/** Reads an input, or throws ValidationError that names each field. */
export function parsed<Output>(rules: z.ZodType<Output>, input: unknown): Output {
  const result = rules.safeParse(input);
  if (result.success) return result.data;
  throw new ValidationError(result.error.issues.map(({ path, message }) => ({ field: path.join('.'), message })));
}

export function createSources({ db, checkUrl }: { db: Database; checkUrl: UrlCheck }) {
  const invalid = (field: string, message: string) => new ValidationError([{ field, message }]);

  /** The uuid of the room that is named in one way; null where none is. */
  async function findRoom({ roomId, roomName, sessionId }: SourceWish, { projectId }: Tenant): Promise<string | null> {
    const given = [roomId, roomName, sessionId].filter((each) => each != null);
    if (given.length === 0) return null;
    if (given.length > 1) throw invalid('roomId', 'give one of roomId, roomName and sessionId');
    const room = await db.room.findFirst({
      where: {
        ...{ projectId, deletedAt: null },
        ...(roomId == null ? {} : { id: roomId }),
        ...(roomName == null ? {} : { name: roomName }),
        ...(sessionId == null ? {} : { sessions: { some: { id: sessionId } } }),
      },
      select: { id: true },
    });
    if (!room) throw new NotFoundError('There is no such room. Make it with ensureRoom.');
    return room.id;
  }

  return {
    findRoom,

    /**
     * What is to be captured; rooms are looked for among the viewer's. A page may be given besides a room: then it is the one
     * that shows the room. Throws ValidationError, UrlRefusedError, NotFoundError.
     */
    async find(wish: SourceWish, viewer: Tenant): Promise<FoundSource> {
      const roomId = await findRoom(wish, viewer);
      if (wish.url == null && roomId === null) throw invalid('url', 'give a url, or a room');
      if (wish.layout != null && (wish.url != null || roomId === null))
        throw invalid('layout', 'is for the viewer page of a room: leave it out with a url');
      const url = wish.url == null ? null : (await checkUrl(wish.url)).href;
      const session = roomId && (await db.session.findFirst({ where: { roomId, endedAt: null } }));
      return {
        url,
        room: roomId === null ? null : { roomId, layout: wish.layout ?? 'grid' },
        sessionId: session ? session.id : null,
      };
    },
  };
}

export type Sources = ReturnType<typeof createSources>;

/** What moderators do to people in a room: putting them out, and stopping what they publish. */
import type { RoomViewer, Viewer } from '../auth/viewer.js';
import type { Database } from '../db.js';
import { appendRoomEvent, eventsChannel, lockRoom, type Wake } from '../events/outbox.js';
import type { Participant } from '../generated/prisma/client.js';
import type { MediaLink } from '../media/media-link.js';
import { MediaServerError, MediaServerLostError, type TrackKind } from '../media/media-server.js';
import type { ParticipantTrack } from '../rooms/events.js';
import { NotFoundError, UnavailableError, ValidationError } from './errors.js';

/** Which of a participant's tracks; all of them when neither is given. */
export interface MuteWish {
  muted: boolean;
  kind?: TrackKind | null | undefined;
  mid?: string | null | undefined;
}

const notThere = () => new NotFoundError('Nobody like that is in a room of yours now. Look at its participants.');

export function createModeration({ db, wake, media }: { db: Database; wake: Wake; media: MediaLink }) {
  /** Throws NotFoundError for who is not there, or not in a room that the viewer may moderate. */
  async function findPresent(id: string, viewer: Viewer): Promise<Participant> {
    const { projectId } = viewer;
    const mayModerate = viewer.kind === 'key' || (viewer.kind === 'room' && viewer.roomScopes.includes('moderate'));
    const own = viewer.kind === 'room' ? { roomId: (viewer as RoomViewer).roomId } : {};
    const found = mayModerate && (await db.participant.findFirst({ where: { id, projectId, ...own, leftAt: null } }));
    if (!found) throw notThere();
    return found;
  }

  return {
    /**
     * Puts somebody out of a room. Tokens of the same identity that were made before are good for nothing any more, so that
     * they come back only with a new one. Throws NotFoundError, UnavailableError.
     */
    async remove(participantId: string, viewer: Viewer): Promise<{ participantId: string }> {
      const { projectId, roomId, sessionId, mediaId, identity } = await findPresent(participantId, viewer);
      // First of all, so that there is no way back in between.
      await db.$transaction(async (transaction) => {
        await lockRoom(transaction, roomId);
        const { count } = await transaction.participant.updateMany({
          where: { id: participantId, removedAt: null },
          data: { removedAt: new Date() },
        });
        const room = { projectId, roomId, sessionId };
        if (count) await appendRoomEvent(transaction, room, { type: 'ParticipantRemoved', participantId, identity });
      });
      wake(eventsChannel);
      await asked(async () => (await media.get()).remove(roomId, mediaId));
      return { participantId };
    },

    /**
     * Stops tracks of somebody for everybody, or lets them go on. Throws NotFoundError, UnavailableError, and ValidationError
     * when there is no such track.
     */
    async mute(participantId: string, wish: MuteWish, viewer: Viewer): Promise<{ participantId: string }> {
      const { roomId, mediaId, tracks } = await findPresent(participantId, viewer);
      const { muted, kind, mid } = wish;
      const meant = (tracks as unknown as ParticipantTrack[]).filter(
        (track) => (kind == null || track.kind === kind) && (mid == null || track.mid === mid),
      );
      if (meant.length === 0) {
        const field = mid == null ? 'kind' : 'mid';
        throw new ValidationError([{ field, message: 'They publish no such track now. Look at their tracks.' }]);
      }
      const found = await asked(async () => {
        const server = await media.get();
        return Promise.all(meant.map((track) => server.mute(roomId, mediaId, track.mid, muted)));
      });
      if (!found.includes(true)) throw notThere();
      return { participantId };
    },
  };
}

/** Throws UnavailableError where the media server is away, or does not do it. */
async function asked<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof MediaServerLostError) && !(error instanceof MediaServerError)) throw error;
    throw new UnavailableError(`${error.message} What was asked for may have happened; ask again.`);
  }
}

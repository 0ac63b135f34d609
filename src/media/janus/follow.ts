/** Following what is published in a room of VideoRoom: only who has joined hears of it, so we join, unseen. */
import { newMediaId } from '../identity.js';
import { type MediaParticipant, MediaServerLostError, type RoomNews } from '../media-server.js';
import type { JanusConnection, PluginData } from './connection.js';
import { participantsOf } from './streams.js';

/** Tells what is published now, then every change, in order; answers how to stop. */
export async function followRoom(
  connection: JanusConnection,
  options: { plugin: string; roomId: string; identity: string; onNews: (news: RoomNews) => void },
): Promise<() => Promise<void>> {
  const { plugin, roomId, identity, onNews } = options;
  const publishing = new Set<string>();
  /** What is told between our joining and the answer to it. */
  let early: PluginData[] | undefined = [];

  /** Who has taken off all tracks is still told of as a publisher. */
  function published(participant: MediaParticipant): void {
    if (participant.tracks.length > 0) {
      publishing.add(participant.mediaId);
      onNews({ type: 'published', participant });
    } else unpublished(participant.mediaId);
  }

  function unpublished(mediaId: string): void {
    // It is told twice of one that stops and then leaves.
    if (publishing.delete(mediaId)) onNews({ type: 'unpublished', mediaId });
  }

  function hear(event: PluginData): void {
    for (const participant of participantsOf(event.publishers)) published(participant);
    for (const gone of [event.unpublished, event.leaving, event.kicked]) {
      if (typeof gone === 'string') unpublished(gone);
    }
    if (event.videoroom === 'destroyed') for (const mediaId of [...publishing]) unpublished(mediaId);
  }

  const handle = await connection.attach(plugin, {
    onEvent: (event) => (early ? early.push(event) : hear(event)),
  });
  try {
    const id = newMediaId('recorder', identity);
    hear(await handle.request({ request: 'join', ptype: 'publisher', room: roomId, id }));
  } catch (error) {
    await handle.detach().catch(() => {});
    throw error;
  }
  const missed = early;
  early = undefined;
  for (const event of missed) hear(event);
  return async () => {
    await handle.detach().catch((error) => {
      // With the connection everything on it has stopped.
      if (!(error instanceof MediaServerLostError)) throw error;
    });
  };
}

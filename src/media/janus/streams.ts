/** The tracks of participants, as VideoRoom lists them in its answers and Janus in its events. */
import * as z from 'zod';
import type { MediaParticipant, MediaTrack } from '../media-server.js';

const streamShape = z.object({
  type: z.string(),
  mid: z.string(),
  codec: z.string().optional(),
  description: z.string().optional(),
  simulcast: z.boolean().optional(),
  /** Set on tracks that were published once and are no longer. */
  disabled: z.boolean().optional(),
});

const participantShape = z.object({
  id: z.string(),
  display: z.string().optional(),
  streams: z.unknown().optional(),
});

/** Tracks that are published now; what is no track of audio or video is left out. */
export function tracksOf(streams: unknown): MediaTrack[] {
  return listOf(streams, streamShape).flatMap(({ type, mid, codec, description, disabled }) => {
    if (disabled || !codec || (type !== 'audio' && type !== 'video')) return [];
    const kind = type === 'audio' ? 'AUDIO' : 'VIDEO';
    return [{ mid, kind, codec: codec.toLowerCase(), source: description || null }];
  });
}

/** What is no participant is left out. */
export function participantsOf(list: unknown): MediaParticipant[] {
  return listOf(list, participantShape).map(({ id, display, streams }) => ({
    mediaId: id,
    name: display ?? '',
    tracks: tracksOf(streams),
  }));
}

/** Mids of the tracks that somebody publishes in several sizes at once ("simulcast"). */
export function midsInSizes(publishers: unknown, mediaId: string): string[] {
  return listOf(publishers, participantShape)
    .filter(({ id }) => id === mediaId)
    .flatMap(({ streams }) => listOf(streams, streamShape))
    .flatMap(({ mid, simulcast }) => (simulcast ? [mid] : []));
}

/** Items of the list that have the shape. */
export function listOf<Shape extends z.ZodType>(list: unknown, shape: Shape): z.infer<Shape>[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((item) => {
    const parsed = shape.safeParse(item);
    return parsed.success ? [parsed.data] : [];
  });
}

/** How clients say what is to be captured: a page, or a room by one of its names. */
import { type Layout, layouts } from '../src/jobs/capture.js';
import type { SourceWish } from '../src/services/sources.js';
import { builder } from './builder.js';
import { decodeId, uuidFrom } from './ids.js';

const descriptions: Record<Layout, string> = {
  grid: 'Everybody as large as everybody else.',
  speaker: 'Who speaks, or a shared screen, large; the others in a strip.',
  'side-by-side': 'Two halves, a shared screen first; the others in a strip.',
  single: 'A shared screen, else who speaks, and nobody else.',
};

export const LayoutEnum = builder.enumType('Layout', {
  description: 'How our viewer page arranges the participants of a room.',
  values: Object.fromEntries(
    layouts.map((value) => [value.replaceAll('-', '_').toUpperCase(), { value, description: descriptions[value] }]),
  ) as Record<string, { value: Layout; description: string }>,
});

type InputFields = Parameters<Parameters<typeof builder.inputType>[1]['fields']>[0];

/** The fields of an input that name what is captured. */
export const sourceInputFields = (t: InputFields) => ({
  url: t.string({
    required: false,
    description:
      'The page, an http or https address; at most 2,048 characters. Left out: our own viewer page of the room that is given.',
  }),
  roomId: t.id({
    required: false,
    description: 'Global id of a room. Give this, `roomName` or `sessionId` for a room.',
  }),
  roomName: t.string({ required: false, description: 'Name of a room.' }),
  sessionId: t.id({
    required: false,
    description: "A room's `sessionId`, or the global id of one of its sessions.",
  }),
  layout: t.field({
    type: LayoutEnum,
    required: false,
    description: 'How the viewer page arranges participants, GRID when left out. `setLayout` changes it later.',
  }),
});

interface GivenIds {
  roomId?: string | number | null | undefined;
  sessionId?: string | number | null | undefined;
}

/** The same with uuids. Throws NotFoundError for what is none of ours. */
export function sourceWishFrom({ roomId, sessionId }: GivenIds): Pick<SourceWish, 'roomId' | 'sessionId'> {
  const room = roomId == null ? null : uuidFrom(String(roomId), ['Room'], 'room');
  if (sessionId == null) return { roomId: room, sessionId: null };
  const named = decodeId(String(sessionId));
  // What is joined is the room; both given are one too many, which the service says.
  if (named?.type === 'Room' && room === null) return { roomId: named.id, sessionId: null };
  return { roomId: room, sessionId: uuidFrom(String(sessionId), ['Session'], 'session') };
}

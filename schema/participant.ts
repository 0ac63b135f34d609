/** Participants: who is in a room, and what they publish. */
import type { ParticipantKind } from '../src/generated/prisma/client.js';
import type { TrackKind } from '../src/media/media-server.js';
import type { ParticipantTrack as Track } from '../src/rooms/events.js';
import { builder } from './builder.js';
import { totalCountField } from './pages.js';

const ParticipantKindEnum = builder.enumType('ParticipantKind', {
  description: 'How somebody came into a room.',
  values: {
    BROWSER: { description: 'With a room token, in a browser or an application.' },
    INGEST: { description: "An encoder with the room's stream key, by RTMP or SRT." },
    RENDER: { description: 'A page that is published into the room.' },
  } satisfies Record<ParticipantKind, { description: string }>,
});

export const TrackKindEnum = builder.enumType('TrackKind', {
  description: 'What a track carries.',
  values: {
    AUDIO: { description: 'Sound.' },
    VIDEO: { description: 'A picture.' },
  } satisfies Record<TrackKind, { description: string }>,
});

export const ParticipantTrack = builder.objectRef<Track>('ParticipantTrack').implement({
  description: 'A track that a participant publishes.',
  fields: (t) => ({
    mid: t.exposeString('mid', { description: 'Names it among the tracks of its participant.' }),
    kind: t.expose('kind', { type: TrackKindEnum, description: 'What it carries.' }),
    codec: t.exposeString('codec', { description: 'As in SDP, lower case: `opus`, `vp8`, `h264`.' }),
    source: t.exposeString('source', {
      nullable: true,
      description: '`camera`, `microphone` or `screen`, as its publisher says. Null when it does not.',
    }),
    muted: t.exposeBoolean('muted', { description: 'Whether a moderator stopped it.' }),
  }),
});

/** What a participant publishes, as its row has it. */
export const tracksOf = ({ tracks }: { tracks: unknown }): Track[] => tracks as Track[];

export const Participant = builder.prismaNode('Participant', {
  id: { field: 'id', description: 'Global id. Opaque, and lasting.' },
  description:
    'Somebody in a room who may publish, from joining to leaving. Who comes back is another one, with the same identity.',
  select: { id: true },
  fields: (t) => ({
    kind: t.expose('kind', { type: ParticipantKindEnum, description: 'How they came in.' }),
    identity: t.exposeString('identity', {
      description: 'Who they are, from their token: the same each time that token is used.',
    }),
    name: t.exposeString('name', { description: 'As others see them.' }),
    tracks: t.field({
      type: [ParticipantTrack],
      description: 'What they publish now. Empty when nothing.',
      select: { tracks: true },
      resolve: tracksOf,
    }),
    isHealthy: t.exposeBoolean('isHealthy', {
      nullable: true,
      description: 'Whether what they publish arrives as it should. Null while that is not known.',
    }),
    issues: t.exposeStringList('issues', {
      description: 'What is wrong, or could be better, in words. Empty while nothing is known.',
    }),
    joinedAt: t.expose('joinedAt', { type: 'DateTime', description: 'When they came.' }),
    leftAt: t.expose('leftAt', { type: 'DateTime', nullable: true, description: 'Null while they are there.' }),
    removedAt: t.expose('removedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When a moderator put them out. Null when none did.',
    }),
  }),
});

export const ParticipantEdge = builder.edgeObject({
  type: Participant,
  name: 'ParticipantEdge',
  description: 'A participant and its cursor.',
});
export const ParticipantConnection = builder.connectionObject(
  {
    type: Participant,
    name: 'ParticipantConnection',
    description: 'A page of participants.',
    fields: (c) => ({ totalCount: c.int(totalCountField) }),
  },
  ParticipantEdge,
);

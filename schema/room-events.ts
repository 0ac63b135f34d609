/** Following a room: the state first, then every change in order. */
import { viewerOf } from '../src/context.js';
import { Stream } from '../src/events/source.js';
import type { StreamItem } from '../src/jobs/events.js';
import type { RoomEventPayload, RoomEventType } from '../src/rooms/events.js';
import { builder } from './builder.js';
import { afterDescription, Event, type SnapshotOf, snapshotDescription, typeNameOf } from './events.js';
import { uuidFrom } from './ids.js';
import { Participant, ParticipantTrack } from './participant.js';
import { Room } from './room.js';
import { Session } from './session.js';

type Happened = Extract<StreamItem, { kind: 'event'; jobId: null; roomId: string }>;
type Told<Type extends RoomEventType> = Happened & { payload: Extract<RoomEventPayload, { type: Type }> };

const RoomEvent = builder.interfaceRef<Happened>('RoomEvent').implement({
  description: 'Something that happened in a room itself, not to a job of it.',
  interfaces: [Event],
  resolveType: typeNameOf,
  fields: (t) => ({
    room: t.prismaField({
      type: Room,
      nullable: true,
      description: 'The room as it is now, which may be later than the event. Null once it is gone.',
      resolve: (query, { roomId }, _args, context) => context.services.rooms.find(query, roomId, viewerOf(context)),
    }),
    participant: t.prismaField({
      type: Participant,
      nullable: true,
      description: 'Whom it is about, as they are now. Null where it is about nobody.',
      resolve: (query, { payload }, _args, context) =>
        'participantId' in payload
          ? context.services.rooms.findParticipant(query, payload.participantId, viewerOf(context))
          : null,
    }),
  }),
});
const interfaces = [Event, RoomEvent];

builder.objectRef<SnapshotOf<'room'>>('RoomSnapshot').implement({
  description: `The room as it is now, with who is in it and its jobs. ${snapshotDescription} What it shows may be newer than its cursor: what later items tell may be in it already.`,
  interfaces: [Event],
  fields: (t) => ({
    room: t.prismaField({
      type: Room,
      nullable: true,
      description: 'The room. Null once it is gone.',
      resolve: (query, { subject }, _args, context) =>
        context.services.rooms.find(query, subject.roomId, viewerOf(context)),
    }),
  }),
});

builder.objectRef<Told<'RoomUpdated'>>('RoomUpdated').implement({
  description: 'The room was made, or changed.',
  interfaces,
});

builder.objectRef<Told<'RoomDeleted'>>('RoomDeleted').implement({
  description: 'The room was deleted: everybody is put out, and nobody comes in again.',
  interfaces,
});

const sessionEvents = {
  SessionStarted: 'The room went live: somebody publishes in it.',
  SessionEnded: 'The room is live no longer: nobody has published in it for a while.',
} as const;
for (const [name, description] of Object.entries(sessionEvents)) {
  builder.objectRef<Told<'SessionStarted' | 'SessionEnded'>>(name).implement({
    description,
    interfaces,
    fields: (t) => ({
      session: t.prismaField({
        type: Session,
        nullable: true,
        description: 'The live period as it is now. Null for the token of a room.',
        resolve: (query, { payload }, _args, context) =>
          context.services.sessions.find(query, payload.sessionId, viewerOf(context)),
      }),
    }),
  });
}

const identityDescription = 'Who they are, from their token.';

builder.objectRef<Told<'ParticipantJoined'>>('ParticipantJoined').implement({
  description: 'Somebody joined who may publish. They publish nothing yet.',
  interfaces,
  fields: (t) => ({
    identity: t.string({ description: identityDescription, resolve: ({ payload }) => payload.identity }),
    name: t.string({ description: 'As others see them.', resolve: ({ payload }) => payload.name }),
  }),
});

builder.objectRef<Told<'ParticipantTracksChanged'>>('ParticipantTracksChanged').implement({
  description: 'Somebody publishes something else than before, or a moderator stopped or released it.',
  interfaces,
  fields: (t) => ({
    tracks: t.field({
      type: [ParticipantTrack],
      description: 'Everything they publish from then on. Empty when nothing.',
      resolve: ({ payload }) => payload.tracks,
    }),
  }),
});

builder.objectRef<Told<'ParticipantHealthChanged'>>('ParticipantHealthChanged').implement({
  description: 'What somebody publishes arrives as it should, or does so no longer.',
  interfaces,
  fields: (t) => ({
    isHealthy: t.boolean({
      nullable: true,
      description: 'Null when it is not known any more.',
      resolve: ({ payload }) => payload.isHealthy,
    }),
    issues: t.stringList({ description: 'What is wrong, in words.', resolve: ({ payload }) => payload.issues }),
  }),
});

builder.objectRef<Told<'ParticipantLeft'>>('ParticipantLeft').implement({
  description: 'Somebody left, or was lost.',
  interfaces,
});

builder.objectRef<Told<'ParticipantRemoved'>>('ParticipantRemoved').implement({
  description: 'A moderator put somebody out. Tokens of their identity from before are good for nothing any more.',
  interfaces,
  fields: (t) => ({
    identity: t.string({ description: identityDescription, resolve: ({ payload }) => payload.identity }),
  }),
});

builder.subscriptionField('roomEvents', (t) =>
  t.withAuth({ mayUse: 'Subscription.roomEvents' }).field({
    type: Event,
    description:
      'Follows a room, who is in it, and its jobs: the state now, then every change in order, none twice, none missed. Does not end by itself. The token of the room is not told of jobs; the token of a job has `jobEvents` instead.',
    args: {
      roomId: t.arg.id({ description: 'Global id of the room.' }),
      after: t.arg({ type: 'Cursor', required: false, description: afterDescription }),
    },
    subscribe: async (_root, { roomId, after }, { services, viewer }) => {
      const id = uuidFrom(roomId, ['Room'], 'room');
      return new Stream<StreamItem>(await services.events.room(id, after ?? null, viewer));
    },
    resolve: (item) => item,
  }),
);

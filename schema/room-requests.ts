/** Making, changing and deleting rooms, and letting people into them. */
import { type RoomScope, roomScopes } from '../src/auth/room-tokens.js';
import { viewerOf } from '../src/context.js';
import { NotFoundError, ValidationError } from '../src/services/errors.js';
import type { IssuedToken } from '../src/services/rooms.js';
import { builder } from './builder.js';
import { encodeId, uuidFrom } from './ids.js';
import { PlaybackProfileInput, RecordingSpecInput } from './profiles.js';
import { Room } from './room.js';

const nameDescription = 'Unique in the project: 1 to 200 characters.';
const roomIdDescription = 'Global id of the room.';
const tokenDescription =
  'Lets its holder into the room, and into nothing else: for the parameter `token` of our pages, and as `Authorization: Bearer` of this API.';

const RoomScopeEnum = builder.enumType('RoomScope', {
  description: 'What a token of a room is good for.',
  values: Object.fromEntries(
    Object.entries(roomScopes).map(([value, description]) => [
      value.toUpperCase(),
      { value: value as RoomScope, description },
    ]),
  ),
});

const EnsureRoomInput = builder.inputType('EnsureRoomInput', {
  description: 'Which room to make, unless it is there: then all but its name is left as it is.',
  fields: (t) => ({
    name: t.string({ description: nameDescription }),
    record: t.boolean({
      required: false,
      description: 'Whether every live period is recorded by itself; false when left out.',
    }),
    profiles: t.field({
      type: [PlaybackProfileInput],
      required: false,
      description: 'Renditions for players, 1 to 6; 240p, 360p, 480p and 720p when left out.',
    }),
    recordingSpec: t.field({
      type: RecordingSpecInput,
      required: false,
      description: 'What is recorded; 1280x720 at 30 frames per second when left out.',
    }),
  }),
});

const EnsureRoomPayload = builder.objectRef<IssuedToken>('EnsureRoomPayload').implement({
  description: 'There is such a room, and this lets somebody new into it.',
  fields: (t) => ({
    room: t.prismaField({
      type: Room,
      description: 'The room.',
      resolve: (query, { roomId }, _args, context) => roomNow(query, roomId, context),
    }),
    sessionId: t.id({
      description: 'What pages join by. The same as the id of the room.',
      resolve: ({ roomId }) => encodeId('Room', roomId),
    }),
    token: t.exposeString('token', {
      description: `${tokenDescription} For one person, to publish and subscribe, for a day.`,
    }),
    apiKey: t.id({
      description: 'The public id of the project. Never a credential.',
      resolve: (_payload, _args, context) => encodeId('Project', viewerOf(context).projectId),
    }),
  }),
});

builder.mutationField('ensureRoom', (t) =>
  t.withAuth({ mayUse: 'Mutation.ensureRoom' }).field({
    type: EnsureRoomPayload,
    description:
      'Answers the room of a name, and makes it when there is none. Asked for by many at once, it is one room.',
    args: { input: t.arg({ type: EnsureRoomInput, description: 'Which room.' }) },
    errors: { types: [ValidationError] },
    resolve: (_root, { input }, { services, viewer }) => services.rooms.ensure(input, viewer),
  }),
);

const UpdateRoomInput = builder.inputType('UpdateRoomInput', {
  description: 'What to change of a room. What is left out stays as it is.',
  fields: (t) => ({
    roomId: t.id({ description: roomIdDescription }),
    name: t.string({ required: false, description: nameDescription }),
    record: t.boolean({ required: false, description: 'Whether every live period is recorded, from the next one on.' }),
    profiles: t.field({
      type: [PlaybackProfileInput],
      required: false,
      description: 'Renditions for players, 1 to 6, of live periods from the next one on.',
    }),
    recordingSpec: t.field({
      type: RecordingSpecInput,
      required: false,
      description: 'What is recorded, of live periods from the next one on.',
    }),
  }),
});

const UpdateRoomPayload = builder.objectRef<{ roomId: string }>('UpdateRoomPayload').implement({
  description: 'The room was changed.',
  fields: (t) => ({
    room: t.prismaField({
      type: Room,
      description: 'The room as it is now.',
      resolve: (query, { roomId }, _args, context) => roomNow(query, roomId, context),
    }),
  }),
});

builder.mutationField('updateRoom', (t) =>
  t.withAuth({ mayUse: 'Mutation.updateRoom' }).field({
    type: UpdateRoomPayload,
    description: 'Changes a room.',
    args: { input: t.arg({ type: UpdateRoomInput, description: 'What to change.' }) },
    errors: { types: [ValidationError, NotFoundError] },
    resolve: (_root, { input: { roomId, ...wish } }, { services, viewer }) =>
      services.rooms.update(uuidFrom(roomId, ['Room'], 'room'), wish, viewer),
  }),
);

const DeleteRoomInput = builder.inputType('DeleteRoomInput', {
  description: 'Which room to delete.',
  fields: (t) => ({ roomId: t.id({ description: roomIdDescription }) }),
});

const DeleteRoomPayload = builder.objectRef<{ roomId: string }>('DeleteRoomPayload').implement({
  description: 'The room is gone. What was recorded of it is kept.',
  fields: (t) => ({
    roomId: t.id({
      description: 'Its global id, which finds nothing any more.',
      resolve: ({ roomId }) => encodeId('Room', roomId),
    }),
  }),
});

builder.mutationField('deleteRoom', (t) =>
  t.withAuth({ mayUse: 'Mutation.deleteRoom' }).field({
    type: DeleteRoomPayload,
    description:
      'Deletes a room. Everybody is put out of it, its tokens and its stream key are good for nothing any more, and its name can be used again. What is being recorded of it ends by itself.',
    args: { input: t.arg({ type: DeleteRoomInput, description: 'Which room.' }) },
    errors: { types: [NotFoundError] },
    resolve: (_root, { input }, { services, viewer }) =>
      services.rooms.remove(uuidFrom(input.roomId, ['Room'], 'room'), viewer),
  }),
);

const CreateRoomTokenInput = builder.inputType('CreateRoomTokenInput', {
  description: 'For whom the token is, and what it is good for.',
  fields: (t) => ({
    roomId: t.id({ description: roomIdDescription }),
    scopes: t.field({
      type: [RoomScopeEnum],
      required: false,
      description: 'What it is good for; to publish and subscribe when left out.',
    }),
    identity: t.string({
      required: false,
      description:
        'Who the holder is: 1 to 64 letters, digits, `-` and `_`; a random one when left out. Shown to others as part of ids.',
    }),
    name: t.string({
      required: false,
      description: 'As others see the holder, 1 to 100 characters; the identity when left out.',
    }),
    expiresIn: t.int({
      required: false,
      description: 'Seconds that it is good for, 1 to 2,592,000, which is 30 days; 86,400 when left out.',
    }),
  }),
});

const CreateRoomTokenPayload = builder.objectRef<IssuedToken>('CreateRoomTokenPayload').implement({
  description: 'The token was made. It is not kept, and cannot be shown again.',
  fields: (t) => ({
    token: t.exposeString('token', { description: tokenDescription }),
    identity: t.exposeString('identity', { description: 'Who the holder is.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      description:
        'Until when it is good; whoever is in the room then is put out. Never later than your own credentials last.',
    }),
    room: t.prismaField({
      type: Room,
      description: 'The room.',
      resolve: (query, { roomId }, _args, context) => roomNow(query, roomId, context),
    }),
  }),
});

builder.mutationField('createRoomToken', (t) =>
  t.withAuth({ mayUse: 'Mutation.createRoomToken' }).field({
    type: CreateRoomTokenPayload,
    description: 'Makes a token that lets somebody into a room.',
    args: { input: t.arg({ type: CreateRoomTokenInput, description: 'For whom.' }) },
    errors: { types: [ValidationError, NotFoundError] },
    resolve: (_root, { input: { roomId, ...wish } }, { services, viewer }) =>
      services.rooms.createToken(uuidFrom(roomId, ['Room'], 'room'), wish, viewer),
  }),
);

const ResetStreamKeyInput = builder.inputType('ResetStreamKeyInput', {
  description: 'Of which room to replace the stream key.',
  fields: (t) => ({ roomId: t.id({ description: roomIdDescription }) }),
});

const ResetStreamKeyPayload = builder.objectRef<{ roomId: string }>('ResetStreamKeyPayload').implement({
  description: 'The room has another stream key.',
  fields: (t) => ({
    room: t.prismaField({
      type: Room,
      description: 'The room as it is now; `ingest` has the new key.',
      resolve: (query, { roomId }, _args, context) => roomNow(query, roomId, context),
    }),
  }),
});

builder.mutationField('resetStreamKey', (t) =>
  t.withAuth({ mayUse: 'Mutation.resetStreamKey' }).field({
    type: ResetStreamKeyPayload,
    description: 'Replaces the stream key of a room: encoders need the new one from now on.',
    args: { input: t.arg({ type: ResetStreamKeyInput, description: 'Which room.' }) },
    errors: { types: [NotFoundError] },
    resolve: (_root, { input }, { services, viewer }) =>
      services.rooms.resetStreamKey(uuidFrom(input.roomId, ['Room'], 'room'), viewer),
  }),
);

async function roomNow(query: object, id: string, context: Parameters<typeof viewerOf>[0]) {
  const room = await context.services.rooms.find(query, id, viewerOf(context));
  if (!room) throw new NotFoundError('There is no such room any more.');
  return room;
}

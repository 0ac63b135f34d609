/** What moderators do to people in a room. */
import { viewerOf } from '../src/context.js';
import { NotFoundError, UnavailableError, ValidationError } from '../src/services/errors.js';
import { builder } from './builder.js';
import { uuidFrom } from './ids.js';
import { Participant, TrackKindEnum } from './participant.js';

const participantIdDescription = 'Global id of the participant.';

interface Done {
  participantId: string;
}

const RemoveParticipantInput = builder.inputType('RemoveParticipantInput', {
  description: 'Whom to put out.',
  fields: (t) => ({ participantId: t.id({ description: participantIdDescription }) }),
});

const RemoveParticipantPayload = builder.objectRef<Done>('RemoveParticipantPayload').implement({
  description: 'They are put out.',
  fields: (t) => ({
    participant: t.prismaField({
      type: Participant,
      description: 'The participant as it is now; `leftAt` is set when they are gone, which follows at once.',
      resolve: (query, { participantId }, _args, context) => participantNow(query, participantId, context),
    }),
  }),
});

builder.mutationField('removeParticipant', (t) =>
  t.withAuth({ mayUse: 'Mutation.removeParticipant' }).field({
    type: RemoveParticipantPayload,
    description:
      'Puts somebody out of a room. Tokens of their identity that were made before are good for nothing any more; with a new one they can come back. An encoder is kept out with `resetStreamKey`. Also for the token of a room that may moderate.',
    args: { input: t.arg({ type: RemoveParticipantInput, description: 'Whom.' }) },
    errors: { types: [NotFoundError, UnavailableError] },
    resolve: (_root, { input }, { services, viewer }) =>
      services.moderation.remove(uuidFrom(input.participantId, ['Participant'], 'participant'), viewer),
  }),
);

const MuteParticipantInput = builder.inputType('MuteParticipantInput', {
  description: 'Whose tracks to stop, or to release. All of them, unless `kind` or `mid` says which.',
  fields: (t) => ({
    participantId: t.id({ description: participantIdDescription }),
    muted: t.boolean({ description: 'True stops them for everybody, false lets them go on.' }),
    kind: t.field({ type: TrackKindEnum, required: false, description: 'Only tracks of this kind.' }),
    mid: t.string({ required: false, description: 'Only the track with this `mid`.' }),
  }),
});

const MuteParticipantPayload = builder.objectRef<Done>('MuteParticipantPayload').implement({
  description: 'The tracks are stopped, or released.',
  fields: (t) => ({
    participant: t.prismaField({
      type: Participant,
      description:
        'The participant as it is now; its `tracks` show it a moment later, with `ParticipantTracksChanged`.',
      resolve: (query, { participantId }, _args, context) => participantNow(query, participantId, context),
    }),
  }),
});

builder.mutationField('muteParticipant', (t) =>
  t.withAuth({ mayUse: 'Mutation.muteParticipant' }).field({
    type: MuteParticipantPayload,
    description:
      'Stops tracks of somebody for everybody in the room and for recordings of it, or lets them go on. Also for the token of a room that may moderate.',
    args: { input: t.arg({ type: MuteParticipantInput, description: 'Whose, and which.' }) },
    errors: { types: [ValidationError, NotFoundError, UnavailableError] },
    resolve: (_root, { input: { participantId, ...wish } }, { services, viewer }) =>
      services.moderation.mute(uuidFrom(participantId, ['Participant'], 'participant'), wish, viewer),
  }),
);

async function participantNow(query: object, id: string, context: Parameters<typeof viewerOf>[0]) {
  const participant = await context.services.rooms.findParticipant(query, id, viewerOf(context));
  if (!participant) throw new NotFoundError('There is no such participant any more.');
  return participant;
}

/** Making, changing, running and deleting recordings. */
import { viewerOf } from '../src/context.js';
import {
  CapacityError,
  ConflictError,
  HeldError,
  NotFoundError,
  UrlRefusedError,
  ValidationError,
} from '../src/services/errors.js';
import type { RecordingAnswer } from '../src/services/recordings.js';
import { builder } from './builder.js';
import { uuidFrom } from './ids.js';
import { Job } from './job.js';
import { requestIdDescription } from './job-requests.js';
import { Recording } from './recording.js';
import { settingsFields } from './recording-input.js';
import { RecordingSourceChange, RecordingSourceInput } from './recording-source-input.js';
import { RecordingPresetEnum, TakesEffectEnum } from './recording-values.js';

type Context = Parameters<typeof viewerOf>[0];
type Query = object;

const nameDescription = '1 to 100 of A-Z, a-z, 0-9, `-` and spaces. Its files are named by it.';
const recordingIdDescription = 'Global id of the recording.';
const settingErrors = [ValidationError, UrlRefusedError, NotFoundError, ConflictError, CapacityError];

const CreateRecordingInput = builder.inputType('CreateRecordingInput', {
  description: 'What to record, and how.',
  fields: (t) => ({
    name: t.string({ description: nameDescription }),
    input: t.field({ type: RecordingSourceInput, description: 'Where its media comes from.' }),
    preset: t.field({
      type: RecordingPresetEnum,
      required: false,
      description: 'What it is for: sets what is usual for that. CONTINUOUS when left out.',
    }),
    ...settingsFields(t),
    active: t.boolean({ required: false, description: 'Whether it starts at once; true when left out.' }),
    requestId: t.string({
      required: false,
      description:
        'Names this request, at most 128 characters. Sent again with the same id it answers with the first recording.',
    }),
  }),
});

const UpdateRecordingInput = builder.inputType('UpdateRecordingInput', {
  description: 'What is to be different of a recording. What is left out stays as it is, and null makes it as usual.',
  fields: (t) => ({
    recordingId: t.id({ description: recordingIdDescription }),
    name: t.string({ required: false, description: nameDescription }),
    input: t.field({
      type: RecordingSourceChange,
      required: false,
      description: 'Where its media comes from: what is to be different of it.',
    }),
    ...settingsFields(t),
    active: t.boolean({
      required: false,
      description: 'False stops its run; true starts one if none goes on. Left out: as it is.',
    }),
    takesEffect: t.field({
      type: TakesEffectEnum,
      required: false,
      description:
        'From when on it counts for the run that goes on, NOW when left out. `maxDuration` counts from the next run on.',
    }),
    requestId: t.string({ required: false, description: requestIdDescription }),
  }),
});

const RecordingIdInput = (name: string, which: string) =>
  builder.inputType(name, {
    description: which,
    fields: (t) => ({
      recordingId: t.id({ description: recordingIdDescription }),
      requestId: t.string({ required: false, description: requestIdDescription }),
    }),
  });

/** `run`: describes the job that the payload has; left out where it has none. */
function payload(name: string, description: string, run?: string, isNew = false) {
  const type = builder.objectRef<RecordingAnswer>(name).implement({
    description,
    fields: (t) => ({
      recording: t.prismaField({
        type: Recording,
        description: run ? 'The recording as it is now.' : 'The recording as it was.',
        resolve: (query, { recordingId }, _args, context) => recordingNow(query, recordingId, context),
      }),
    }),
  });
  if (run)
    builder.objectField(type, 'job', (t) =>
      t.prismaField({
        type: Job,
        nullable: true,
        description: run,
        resolve: (query, { jobId }, _args, context) =>
          jobId === null ? null : context.services.jobs.find(query, jobId, viewerOf(context)),
      }),
    );
  if (isNew)
    builder.objectFields(type, (t) => ({
      accessToken: t.exposeString('accessToken', {
        nullable: true,
        description:
          'Credentials for the run that was begun, shown only here. Null where none was, or when the request had been carried out before.',
      }),
      sequence: t.exposeInt('sequence', {
        description: 'Number of the event of that run that this caused. 0 where none was begun.',
      }),
    }));
  return type;
}

async function recordingNow(query: Query, id: string, context: Context) {
  const recording = await context.services.recordingPages.findDeleted(query, id, viewerOf(context));
  if (!recording) throw new NotFoundError('There is no such recording any more.');
  return recording;
}

const idOf = (recordingId: string): string => uuidFrom(recordingId, ['Recording'], 'recording');

/** Ids of rooms and participants, as uuids. Throws NotFoundError for what is none of ours. */
function sourceFrom<Given extends { roomId?: string | null; participantId?: string | null }>(given: Given) {
  const { roomId, participantId } = given;
  return {
    ...given,
    roomId: roomId == null ? roomId : uuidFrom(roomId, ['Room'], 'room'),
    participantId: participantId == null ? participantId : uuidFrom(participantId, ['Participant'], 'participant'),
  };
}

builder.mutationField('createRecording', (t) =>
  t.withAuth({ mayUse: 'Mutation.createRecording' }).field({
    type: payload(
      'CreateRecordingPayload',
      'The recording was made. Follow its run with `jobEvents`.',
      'The run that was begun. Null where it is not to start at once.',
      true,
    ),
    description:
      'Makes a recording of a live input, and starts it unless told not to. Answers once that is accepted; recording begins when a recorder has room and the source sends.',
    args: { input: t.arg({ type: CreateRecordingInput, description: 'What to record, and how.' }) },
    errors: { types: settingErrors },
    resolve: (_root, { input }, { services, viewer }) =>
      services.recordings.create({ ...input, input: sourceFrom(input.input) }, viewer),
  }),
);

builder.mutationField('updateRecording', (t) =>
  t.withAuth({ mayUse: 'Mutation.updateRecording' }).field({
    type: payload(
      'UpdateRecordingPayload',
      'The recording was changed.',
      'The run that goes on, that was begun, or that is being stopped. Null where there is none.',
      true,
    ),
    description:
      'Changes a recording. A run that goes on follows at once, as its next part; where that cannot be, since a room is, or was, the input, another run takes its place.',
    args: { input: t.arg({ type: UpdateRecordingInput, description: 'What is to be different.' }) },
    errors: { types: settingErrors },
    resolve: (_root, { input: { recordingId, ...change } }, { services, viewer }) =>
      services.recordings.update(
        idOf(recordingId),
        { ...change, input: change.input && sourceFrom(change.input) },
        viewer,
      ),
  }),
);

builder.mutationField('startRecording', (t) =>
  t.withAuth({ mayUse: 'Mutation.startRecording' }).field({
    type: payload('StartRecordingPayload', 'A run was begun.', 'The run that was begun.', true),
    description:
      'Starts a recording. A run that goes on is stopped, keeps what it has, and is replaced: never two record at once.',
    args: {
      input: t.arg({
        type: RecordingIdInput('StartRecordingInput', 'Which recording to start.'),
        description: 'Which one.',
      }),
    },
    errors: { types: [ValidationError, NotFoundError, ConflictError] },
    resolve: (_root, { input }, { services, viewer }) =>
      services.recordings.start(idOf(input.recordingId), viewer, input.requestId ?? undefined),
  }),
);

builder.mutationField('stopRecording', (t) =>
  t.withAuth({ mayUse: 'Mutation.stopRecording' }).field({
    type: payload(
      'StopRecordingPayload',
      'The recording is not to be running.',
      'The run that is being stopped. Null where none went on.',
    ),
    description:
      'Stops a recording: its run ends and keeps what it has. Answers once that is accepted; the files follow. Of one that is not running it changes nothing.',
    args: {
      input: t.arg({
        type: RecordingIdInput('StopRecordingInput', 'Which recording to stop.'),
        description: 'Which one.',
      }),
    },
    errors: { types: [ValidationError, NotFoundError, ConflictError] },
    resolve: (_root, { input }, { services, viewer }) =>
      services.recordings.stop(idOf(input.recordingId), viewer, input.requestId ?? undefined),
  }),
);

builder.mutationField('deleteRecording', (t) =>
  t.withAuth({ mayUse: 'Mutation.deleteRecording' }).field({
    type: payload('DeleteRecordingPayload', 'The recording was deleted: nobody sees it any more.'),
    description:
      'Deletes a recording with its runs and files. Its run is stopped first; files are gone at once, and what is left within minutes. Refused while a file of it is held.',
    args: {
      input: t.arg({
        type: RecordingIdInput('DeleteRecordingInput', 'Which recording to delete.'),
        description: 'Which one.',
      }),
    },
    errors: { types: [ValidationError, NotFoundError, ConflictError, HeldError] },
    resolve: (_root, { input }, { services, viewer }) =>
      services.recordings.remove(idOf(input.recordingId), viewer, input.requestId ?? undefined),
  }),
);

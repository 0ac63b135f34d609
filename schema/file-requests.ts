/** Who gets a file, that it is kept, and that it goes. */
import { viewerOf } from '../src/context.js';
import { HeldError, NotFoundError } from '../src/services/errors.js';
import { type HoldAnswer, type HoldTarget, mostShown } from '../src/services/file-changes.js';
import { builder } from './builder.js';
import { File, FileVisibilityEnum } from './file.js';
import { decodeId, encodeId, uuidFrom } from './ids.js';
import { Recording } from './recording.js';

const fileIdDescription = 'Global id of the file.';

const SetFileVisibilityInput = builder.inputType('SetFileVisibilityInput', {
  description: 'Which file, and who may download it.',
  fields: (t) => ({
    fileId: t.id({ description: fileIdDescription }),
    visibility: t.field({ type: FileVisibilityEnum, description: 'Who may download it from now on.' }),
  }),
});

const SetFileVisibilityPayload = builder.objectRef<{ fileId: string }>('SetFileVisibilityPayload').implement({
  description: 'It is so from now on.',
  fields: (t) => ({
    file: t.prismaField({
      type: File,
      description: 'The file as it is now.',
      resolve: async (query, { fileId }, _args, context) => {
        const file = await context.services.lookups.file(query, fileId, viewerOf(context));
        if (!file) throw new NotFoundError('There is no such file any more.');
        return file;
      },
    }),
  }),
});

builder.mutationField('setFileVisibility', (t) =>
  t.withAuth({ mayUse: 'Mutation.setFileVisibility' }).field({
    type: SetFileVisibilityPayload,
    description:
      'Says who may download a file: anybody who knows its address, or only who has credentials or a signed URL.',
    args: { input: t.arg({ type: SetFileVisibilityInput, description: 'Which file, and who.' }) },
    errors: { types: [NotFoundError] },
    resolve: (_root, { input }, { services, viewer }) =>
      services.fileChanges.setVisibility(uuidFrom(input.fileId, ['File'], 'file'), input.visibility, viewer),
  }),
);

const SetHoldInput = builder.inputType('SetHoldInput', {
  description: 'What to hold, or to let go.',
  fields: (t) => ({
    id: t.id({
      description:
        'Global id of a file; or of a job, an archive or a recording, for all files that there are of it now.',
    }),
    hold: t.boolean({ description: 'True: it is removed neither by itself nor on request. False: it may be.' }),
  }),
});

const SetHoldPayload = builder.objectRef<HoldAnswer>('SetHoldPayload').implement({
  description: 'It is so from now on. Files that are made later are not held.',
  fields: (t) => ({
    fileCount: t.int({ description: 'How many files it is of.', resolve: ({ fileIds }) => fileIds.length }),
    files: t.prismaField({
      type: [File],
      description: `Which files, of the first ${mostShown} at most.`,
      complexity: 10,
      resolve: (query, { fileIds }, _args, context) =>
        context.services.lookups.files(query, fileIds.slice(0, mostShown), viewerOf(context)),
    }),
  }),
});

builder.mutationField('setHold', (t) =>
  t.withAuth({ mayUse: 'Mutation.setHold' }).field({
    type: SetHoldPayload,
    description:
      'Holds files: they are removed neither when their time is over nor by who deletes them or their recording. Or lets them go again.',
    args: { input: t.arg({ type: SetHoldInput, description: 'What to hold, or to let go.' }) },
    errors: { types: [NotFoundError] },
    resolve: (_root, { input }, { services, viewer }) =>
      services.fileChanges.setHold(holdTarget(input.id), input.hold, viewer),
  }),
);

const holdable = { File: 'file', Job: 'job', Archive: 'job', Render: 'job', Recording: 'recording' } as const;

function holdTarget(globalId: string): HoldTarget {
  const id = uuidFrom(globalId, Object.keys(holdable) as (keyof typeof holdable)[], 'file, job, archive or recording');
  return { of: holdable[decodeId(globalId)?.type as keyof typeof holdable], id };
}

const DeleteRecordingFileInput = builder.inputType('DeleteRecordingFileInput', {
  description: 'Which file to remove.',
  fields: (t) => ({ fileId: t.id({ description: fileIdDescription }) }),
});

const DeleteRecordingFilePayload = builder
  .objectRef<{ fileId: string; name: string; recordingId: string }>('DeleteRecordingFilePayload')
  .implement({
    description: 'The file was removed: nobody gets it any more.',
    fields: (t) => ({
      fileId: t.id({
        description: 'Global id that the file had.',
        resolve: ({ fileId }) => encodeId('File', fileId),
      }),
      name: t.exposeString('name', { description: 'Its file name.' }),
      recording: t.prismaField({
        type: Recording,
        nullable: true,
        description: 'The recording as it is now. Null for the token of a job.',
        resolve: (query, { recordingId }, _args, context) =>
          context.services.recordingPages.find(query, recordingId, viewerOf(context)),
      }),
    }),
  });

builder.mutationField('deleteRecordingFile', (t) =>
  t.withAuth({ mayUse: 'Mutation.deleteRecordingFile' }).field({
    type: DeleteRecordingFilePayload,
    description: 'Removes one file of a recording, which stays. Refused while the file is held.',
    args: { input: t.arg({ type: DeleteRecordingFileInput, description: 'Which file to remove.' }) },
    errors: { types: [NotFoundError, HeldError] },
    resolve: (_root, { input }, { services, viewer }) =>
      services.fileChanges.remove(uuidFrom(input.fileId, ['File'], 'file'), viewer),
  }),
);

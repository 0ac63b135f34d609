/** Recordings: a live input recorded to files, again and again. */
import { viewerOf } from '../src/context.js';
import { recordingState } from '../src/jobs/recording-state.js';
import { isTerminal, liveStates } from '../src/jobs/states.js';
import type { RecordingConfig } from '../src/recordings/config.js';
import { builder } from './builder.js';
import { File, FileConnection, FileKindEnum } from './file.js';
import { frontDoor } from './front-door.js';
import { uuidOf } from './ids.js';
import { Job, JobConnection, JobEdge, JobStats } from './job.js';
import { totalCountField } from './pages.js';
import { AudioChangeType, OverlayType, SplitEvery, Transcoding, VideoChangeType } from './recording-settings.js';
import { RecordingSource } from './recording-source.js';
import {
  InputTypeEnum,
  OutputFormatEnum,
  RecordingModeEnum,
  RecordingSortEnum,
  RecordingStateEnum,
  RecordingTypeEnum,
} from './recording-values.js';

const configOf = ({ config }: { config: unknown }): RecordingConfig => config as RecordingConfig;
const ofConfig = { config: true } as const;

/** What reads the newest run of each shares its query with the others of a page. */
const ofNewest = 2;

export const Recording = builder.prismaNode('Recording', {
  id: { field: 'id', description: 'Global id. Opaque, and lasting.' },
  description:
    'What is to be recorded of which live input, and how. Kept, and run as often as it is started: each run adds files.',
  select: { id: true },
  fields: (t) => ({
    name: t.exposeString('name', { description: 'A-Z, a-z, 0-9, `-` and spaces: its files are named by it.' }),
    type: t.field({
      type: RecordingTypeEnum,
      description: 'What kind of recording it is.',
      resolve: () => 'RECORDING_STREAM_TO_FILE' as const,
    }),
    projectId: t.id(frontDoor.projectId),
    input: t.field({
      type: RecordingSource,
      description: 'Where its media comes from.',
      select: { id: true, ...ofConfig },
      resolve: ({ id, config }) => ({ recordingId: id, input: configOf({ config }).input }),
    }),
    outputFormat: t.field({
      type: OutputFormatEnum,
      description: 'What its files are.',
      select: ofConfig,
      resolve: (recording) => configOf(recording).output.format,
    }),
    mode: t.field({
      type: RecordingModeEnum,
      description: 'How many files each run makes.',
      select: ofConfig,
      resolve: (recording) => (configOf(recording).output.splitMs === null ? 'CONTINUOUS' : 'SPLIT_BY_TIME'),
    }),
    splitEvery: t.field({
      type: SplitEvery,
      nullable: true,
      description: 'How long each file is. Null where a run makes one.',
      select: ofConfig,
      resolve: (recording) => configOf(recording).output.splitMs,
    }),
    fillGaps: t.boolean({
      description:
        'Whether gaps become black and silence, so that a file is as long as its recording took; else they are cut out.',
      select: ofConfig,
      resolve: (recording) => configOf(recording).output.fillGaps,
    }),
    transcoding: t.field({
      type: Transcoding,
      description: 'What becomes of picture and sound.',
      select: ofConfig,
      resolve: configOf,
    }),
    audioChange: t.field({
      type: AudioChangeType,
      nullable: true,
      description: 'What is done to the sound before it is encoded. Null: nothing.',
      select: ofConfig,
      resolve: (recording) => configOf(recording).audioChange,
    }),
    videoChange: t.field({
      type: VideoChangeType,
      nullable: true,
      description: 'What is done to the picture before it is encoded. Null: nothing.',
      select: ofConfig,
      resolve: (recording) => configOf(recording).videoChange,
    }),
    overlay: t.field({
      type: OverlayType,
      nullable: true,
      description: 'What is put over the picture. Null: nothing.',
      select: ofConfig,
      resolve: (recording) => configOf(recording).overlay,
    }),
    maxDuration: t.int({
      description: 'After this long a run stops by itself, seconds since its first frame.',
      select: ofConfig,
      resolve: (recording) => configOf(recording).maxDurationMs / 1000,
    }),
    deleteAfter: t.exposeInt('deleteAfterDays', {
      description: 'Days after which each of its files is removed; 0: never.',
    }),
    callbackUrl: t.exposeString('callbackUrl', {
      nullable: true,
      description: 'Where changes of the state of its runs are posted. Null: nowhere.',
    }),
    active: t.boolean({
      description: 'Whether it is running: false once its run was stopped, or has ended by itself.',
      complexity: ofNewest,
      select: { id: true, active: true },
      resolve: async ({ id, active }, _args, { services }) => {
        const newest = active ? await services.recordingPages.newestRun(id) : null;
        return newest !== null && liveStates.includes(newest.state);
      },
    }),
    state: t.field({
      type: RecordingStateEnum,
      description: 'Where it is, derived from its newest run.',
      complexity: ofNewest,
      resolve: async ({ id }, _args, { services }) =>
        recordingState((await services.recordingPages.newestRun(id))?.state ?? null),
    }),
    bitrate: t.float({
      nullable: true,
      description: 'Bits per second that are recorded, over the last seconds. Null while nothing is.',
      complexity: ofNewest,
      resolve: async ({ id }, _args, { services }) => (await services.recordingPages.newestRun(id))?.bitrate ?? null,
    }),
    fps: t.float({
      nullable: true,
      description: 'Frames per second that are recorded, over the last seconds. Null while nothing is.',
      complexity: ofNewest,
      resolve: async ({ id }, _args, { services }) => (await services.recordingPages.newestRun(id))?.fps ?? null,
    }),
    currentRun: t.prismaField({
      type: Job,
      nullable: true,
      description: 'The run that goes on, until its files are made. Null where none does.',
      complexity: 5,
      resolve: async (query, { id }, _args, context) => {
        const newest = await context.services.recordingPages.newestRun(id);
        if (!newest || isTerminal(newest.state)) return null;
        return context.services.jobs.find(query, newest.jobId, viewerOf(context));
      },
    }),
    stats: t.prismaField({
      type: JobStats,
      nullable: true,
      description: 'Latest statistics of the run that goes on. Null where none does, and before it records.',
      complexity: 5,
      resolve: async (query, { id }, _args, { services }) => {
        const newest = await services.recordingPages.newestRun(id);
        return newest && !isTerminal(newest.state) ? services.recordingPages.stats(query, newest.jobId) : null;
      },
    }),
    runs: t.prismaConnection(
      {
        type: Job,
        cursor: 'id',
        description: 'The jobs that ran it, or are running it, newest first.',
        totalCount: ({ id }, _args, context) => context.services.jobs.count({ recordingId: id }, viewerOf(context)),
        resolve: (query, { id }, _args, context) =>
          context.services.jobs.list(query, { recordingId: id }, viewerOf(context)),
      },
      JobConnection,
      JobEdge,
    ),
    fileCount: t.int({
      description: 'How many files with recorded media there are of it, of all runs.',
      complexity: ofNewest,
      resolve: async ({ id }, _args, { services }) => (await services.recordingPages.fileCount(id)) ?? 0,
    }),
    files: t.prismaConnection(
      {
        type: File,
        cursor: 'id',
        description: 'The files of all its runs, oldest first.',
        args: {
          kinds: t.arg({
            type: [FileKindEnum],
            required: false,
            description: 'Only of these kinds, such as VIDEO; all when left out.',
          }),
        },
        resolve: (query, { id }, { kinds }, { services }) => services.recordingPages.files(query, id, kinds),
      },
      FileConnection,
    ),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    updatedAt: t.expose('updatedAt', {
      type: 'DateTime',
      description: 'When it was last changed, started or stopped.',
    }),
  }),
});

builder.prismaObjectField(Job, 'recording', (t) =>
  t.prismaField({
    type: Recording,
    nullable: true,
    description: 'The recording it is a run of. Null where it is of none, and for the token of the job.',
    complexity: 5,
    select: { recordingId: true },
    resolve: (query, { recordingId }, _args, context) =>
      recordingId === null ? null : context.services.recordingPages.find(query, recordingId, viewerOf(context)),
  }),
);

builder.prismaObjectField(File, 'recording', (t) =>
  t.prismaField({
    type: Recording,
    nullable: true,
    description: 'The recording it is a file of. Null where it is of none, and for the token of a job.',
    complexity: 5,
    select: { job: { select: { recordingId: true } } },
    resolve: (query, { job }, _args, context) =>
      job.recordingId === null ? null : context.services.recordingPages.find(query, job.recordingId, viewerOf(context)),
  }),
);

const RecordingsFilter = builder.inputType('RecordingsFilter', {
  description: 'Which recordings to list. Every condition given must hold.',
  fields: (t) => ({
    name: t.string({ required: false, description: 'Whose name contains this, in whatever case.' }),
    active: t.boolean({ required: false, description: 'That are running, or that are not.' }),
    outputFormats: t.field({ type: [OutputFormatEnum], required: false, description: 'Of one of these formats.' }),
    inputTypes: t.field({ type: [InputTypeEnum], required: false, description: 'Of one of these inputs.' }),
    createdAfter: t.field({ type: 'DateTime', required: false, description: 'Made later than this.' }),
    createdBefore: t.field({ type: 'DateTime', required: false, description: 'Made earlier than this.' }),
  }),
});

const filterFrom = (filter: typeof RecordingsFilter.$inferInput | null | undefined) => ({
  ...filter,
  formats: filter?.outputFormats,
});

builder.queryField('recording', (t) =>
  t.withAuth({ mayUse: 'Query.recording' }).prismaField({
    type: Recording,
    nullable: true,
    description: 'A recording by its id. Null when there is none.',
    args: { id: t.arg.id({ description: 'Global id of the recording.' }) },
    resolve: (query, _root, { id }, { services, viewer }) => {
      const recordingId = uuidOf(id, ['Recording']);
      return recordingId === null ? null : services.recordingPages.find(query, recordingId, viewer);
    },
  }),
);

builder.queryField('recordings', (t) =>
  t.withAuth({ mayUse: 'Query.recordings' }).prismaConnection(
    {
      type: Recording,
      cursor: 'id',
      description: 'The recordings of the project.',
      args: {
        filter: t.arg({ type: RecordingsFilter, required: false, description: 'Which ones; all when left out.' }),
        sort: t.arg({
          type: RecordingSortEnum,
          required: false,
          description: 'In which order, CREATED_ASC when left out. Cursors are good for the order that they came in.',
        }),
      },
      totalCount: (_connection, { filter }, { services, viewer }) =>
        services.recordingPages.count(filterFrom(filter), viewer),
      resolve: (query, _root, { filter, sort }, { services, viewer }) =>
        services.recordingPages.list(query, filterFrom(filter), sort ?? 'CREATED_ASC', viewer),
    },
    {
      name: 'RecordingConnection',
      description: 'A page of recordings.',
      fields: (c) => ({ totalCount: c.int(totalCountField) }),
    },
    { name: 'RecordingEdge', description: 'A recording and its cursor.' },
  ),
);

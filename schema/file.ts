/** Files: what jobs deliver. */
import { builder } from './builder.js';

export const FileKindEnum = builder.enumType('FileKind', {
  description: 'What a file is for.',
  values: {
    VIDEO: { description: 'The recording.' },
    TAR: { description: 'The recording and each participant, or media element, of it by itself, with a manifest.' },
    PLAYLIST: { description: 'An HLS playlist.' },
    SEGMENTS: { description: 'The media of an HLS playlist, in one file.' },
    THUMBNAIL: { description: 'A picture of the recording.' },
    SCREENSHOT: { description: 'The page as it looked.' },
    LOG: { description: 'What the page or the recorder wrote.' },
  },
});

export const FileVisibilityEnum = builder.enumType('FileVisibility', {
  description: 'Who may download a file.',
  values: {
    PRIVATE: { description: 'Whoever has credentials that reach it, or a signed URL.' },
    PUBLIC: { description: 'Whoever knows its address.' },
  },
});

export const File = builder.prismaNode('File', {
  id: { field: 'id', description: 'Global id. Opaque, and lasting.' },
  description: 'Something to download: a result of a job, or what explains a failure.',
  select: { id: true },
  fields: (t) => ({
    kind: t.expose('kind', { type: FileKindEnum, description: 'What it is for.' }),
    name: t.exposeString('name', { description: 'File name.' }),
    format: t.string({
      description:
        'Of which format it is, as its name ends: `mp4`, `mkv`, `ts`, `flv`, `avi`, `mp3`, `m3u8` and others.',
      select: { name: true },
      resolve: ({ name }) => /\.([A-Za-z0-9]+)$/.exec(name)?.[1]?.toLowerCase() ?? '',
    }),
    path: t.string({
      description:
        'Its folder and name, such as `/recordings/name-2030-01-31_12-00-00.mp4`, wherever it is kept. Not an address: see `downloadUrl`.',
      select: { name: true, job: { select: { kind: true } } },
      resolve: ({ name, job }) => `/${job.kind.toLowerCase()}s/${name}`,
    }),
    version: t.exposeInt('version', { description: 'Counts up when the same file is made again.' }),
    mediaType: t.exposeString('mediaType', { description: 'Media type, such as `video/mp4`.' }),
    visibility: t.expose('visibility', { type: FileVisibilityEnum, description: 'Who may download it.' }),
    size: t.expose('sizeBytes', { type: 'BigInt', description: 'Bytes.' }),
    sha256sum: t.expose('sha256', { type: 'Base64', description: 'SHA-256 of its contents.' }),
    duration: t.float({
      nullable: true,
      description: 'Length of the media, seconds. Null when it has none.',
      select: { durationMs: true },
      resolve: ({ durationMs }) => (durationMs === null ? null : durationMs / 1000),
    }),
    width: t.exposeInt('width', { nullable: true, description: 'Pixels. Null when it has no picture.' }),
    height: t.exposeInt('height', { nullable: true, description: 'Pixels. Null when it has no picture.' }),
    videoCodec: t.exposeString('videoCodec', { nullable: true, description: 'Such as `h264`. Null without video.' }),
    audioCodec: t.exposeString('audioCodec', { nullable: true, description: 'Such as `aac`. Null without audio.' }),
    downloadUrl: t.string({
      authScopes: { mayUse: 'File.downloadUrl' },
      nullable: true,
      description:
        'A signed URL that needs no credentials, for a limited time. Serves byte ranges. Null without the scope `files:read`.',
      select: { id: true, name: true },
      resolve: (file, _args, { services }) => services.files.downloadUrl(file),
    }),
    playUrl: t.string({
      authScopes: { mayUse: 'File.playUrl' },
      nullable: true,
      description:
        'Of a playlist: where a player plays it, with the media it names, for as long as `downloadUrl`; for ever while it is public. ' +
        'Null for other files, and without the scope `files:read`.',
      select: { id: true, name: true, kind: true, visibility: true },
      resolve: (file, _args, { services }) => services.files.playUrl(file),
    }),
    publicUrl: t.string({
      nullable: true,
      description: 'Where anybody gets it. Null while it is private.',
      select: { id: true, name: true, visibility: true },
      resolve: (file, _args, { services }) => services.files.publicUrl(file),
    }),
    held: t.exposeBoolean('held', { description: 'Whether it is kept whatever happens: see `setHold`.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it is removed by itself, unless it is held then. Null: never.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
  }),
});

export const FileConnection = builder.connectionObject(
  { type: File, name: 'FileConnection', description: 'A page of files.' },
  { name: 'FileEdge', description: 'A file and its cursor.' },
);

/** Recordings as clients make, change, run and list them. Nothing here needs media. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { createDatabase, type Database } from '../../src/db.js';
import type { RecordingConfig } from '../../src/recordings/config.js';
import { type Api, api } from '../testkit/api.js';
import { createProject, createRoom } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { createFileRow, createRecordingRow, createRunRow } from '../testkit/recording-rows.js';
import { createRecordingKit, type RecordingKit, RefusedError } from '../testkit/recordings.js';

let db: Database;
let projectId: string;
let key: string;
let client: Api;
let kit: RecordingKit;
beforeAll(async () => {
  db = createDatabase(inject('stack').databaseUrl);
  projectId = await createProject(db);
  key = await createKey(db, projectId);
  client = api(key);
  kit = createRecordingKit({ url: inject('stack').url, apiKey: key });
});
afterAll(async () => {
  await kit.close();
  await db.$disconnect();
});

const srt = { type: 'SRT_URL', url: 'srt://127.0.0.1:19999' } as const;
type CreateInput = Parameters<RecordingKit['create']>[0];
const idle = (input: Partial<CreateInput> = {}) => kit.create({ input: srt, active: false, ...input });
const configOf = async (recordingId: string): Promise<RecordingConfig> =>
  (await db.recording.findUniqueOrThrow({ where: { id: recordingId } })).config as unknown as RecordingConfig;
const refusal = async (attempt: Promise<unknown>): Promise<RefusedError> => {
  const error = await attempt.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(RefusedError);
  return error as RefusedError;
};
/** Pixels and padding of a PNG are of no interest to who only looks at its head. */
const png = (width: number, height: number, bytes = 64): string => {
  const image = Buffer.alloc(bytes);
  Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex').copy(image);
  image.writeUInt32BE(width, 16);
  image.writeUInt32BE(height, 20);
  return image.toString('base64');
};

describe('a new recording', () => {
  test('is one MP4 with the picture as it comes and the sound as AAC, kept for ever, unless told otherwise', async () => {
    const recording = await idle({ name: 'Main program archive' });
    const query = `query($id: ID!) { recording(id: $id) { name type active state outputFormat mode splitEvery { seconds }
      fillGaps deleteAfter maxDuration fileCount bitrate currentRun { id } stats { fps } audioChange { track }
      videoChange { rotate } overlay { kind } runs { totalCount } files { nodes { id } }
      transcoding { video { mode bitrate preset hardwareDevice } audio { mode codec bitrate sampleRate } }
      input { type application url listenPort sendTo linkStats latency passphrase keyLength connectTimeout reconnectTimeout } } }`;
    const { recording: shown } = await client.get<{ recording: object }>(query, { id: recording.id });
    expect(shown).toEqual({
      ...{ name: 'Main program archive', type: 'RECORDING_STREAM_TO_FILE', active: false, state: 'INACTIVE' },
      ...{ outputFormat: 'MP4', mode: 'CONTINUOUS', splitEvery: null, fillGaps: false, deleteAfter: 0 },
      ...{ maxDuration: 604_800, fileCount: 0, bitrate: null, currentRun: null, stats: null },
      ...{ audioChange: null, videoChange: null, overlay: null, runs: { totalCount: 0 }, files: { nodes: [] } },
      transcoding: {
        video: { mode: 'COPY', bitrate: null, preset: null, hardwareDevice: null },
        audio: { mode: 'TRANSCODE', codec: 'AAC', bitrate: 128_000, sampleRate: 44_100 },
      },
      input: {
        ...{ type: 'SRT_URL', application: 'FFMPEG', url: 'srt://127.0.0.1:19999', listenPort: null, sendTo: null },
        ...{ linkStats: true, latency: 120, passphrase: null, keyLength: null },
        ...{ connectTimeout: 30, reconnectTimeout: 3_600 },
      },
    });
  });

  test('encodes its picture as the seed does, where it is to be encoded', async () => {
    const { recordingId } = await idle({ transcoding: { video: { mode: 'TRANSCODE', hardwareDevice: '0' } } });
    expect((await configOf(recordingId)).video).toEqual({
      ...{ mode: 'TRANSCODE', bitrate: 6_000_000, preset: 'ultrafast', tune: null, crf: null, pixelFormat: null },
      ...{ encodingRate: null, filterFps: null, gop: null, forceKeyFrames: 2, width: null, height: null },
      ...{ slices: null, cores: null },
    });
  });

  test('takes every setting there is', async () => {
    const { recordingId } = await idle({
      input: { ...srt, passphrase: 'a passphrase of ours', keyLength: 32, latency: 800, streamId: '#!::r=live' },
      outputFormat: 'MKV',
      splitEvery: { hours: 1, minutes: 2, seconds: 3 },
      transcoding: {
        video: {
          ...{ mode: 'TRANSCODE', bitrate: 3_000_000, preset: 'VERYFAST', tune: 'ZEROLATENCY', crf: 23, gop: 60 },
          ...{ pixelFormat: 'YUV420P', encodingRate: 25, filterFps: 25, forceKeyFrames: 0, width: 1279, height: 720 },
          ...{ slices: 4, cores: 2 },
        },
        audio: { mode: 'TRANSCODE', codec: 'OPUS', bitrate: 96_000 },
      },
      audioChange: { track: 1, channels: [2, 1], downmix: 'MONO', gain: -3.5 },
      videoChange: {
        ...{ deinterlace: true, rotate: 90, fps: 25 },
        ...{ crop: { x: 1, y: 2, width: 641, height: 360 }, scale: { width: 640, height: 361 } },
      },
      overlay: { x: 10, y: 20, opacity: 0.5, text: 'Live: 100 %', size: 40, color: '#FFCC00' },
      deleteAfter: 30,
      maxDuration: 60,
    });
    expect(await configOf(recordingId)).toMatchObject({
      input: { passphrase: 'a passphrase of ours', keyLength: 32, latencyMs: 800, streamId: '#!::r=live' },
      output: { format: 'MKV', splitMs: 3_723_000, hasVideo: true, hasAudio: true },
      video: { width: 1280, crf: 23, tune: 'zerolatency', forceKeyFrames: null, encodingRate: 25, gop: 60 },
      audio: { mode: 'TRANSCODE', codec: 'OPUS', bitrate: 96_000, sampleRate: 48_000 },
      audioChange: { track: 1, channels: [2, 1], downmix: 'MONO', gain: -3.5 },
      videoChange: { crop: { width: 642 }, scale: { width: 640, height: 362 }, rotate: 90, deinterlace: true },
      overlay: { x: 10, y: 20, opacity: 0.5, content: { kind: 'TEXT', text: 'Live: 100 %', color: 'ffcc00' } },
      maxDurationMs: 60_000,
    });
  });

  test.each([
    ['CONTINUOUS', { format: 'MP4', splitMs: null, hasVideo: true }],
    ['SEGMENTED', { format: 'MP4', splitMs: 600_000 }],
    ['HLS', { format: 'M3U8', splitMs: null }],
    ['AUDIO_ONLY', { format: 'MP3', hasVideo: false, hasAudio: true }],
  ] as const)('of the preset %s is as usual for that', async (preset, output) => {
    const { recordingId } = await idle({ preset });
    const config = await configOf(recordingId);
    expect(config.output).toMatchObject(output);
    if (preset === 'AUDIO_ONLY') expect(config.audio).toMatchObject({ codec: 'MP3', bitrate: 128_000 });
  });

  test('of one participant is copied into Matroska, and encoded for other formats', async () => {
    const roomId = await createRoom(db, projectId);
    const input = { type: 'PARTICIPANT', roomId: encodeId('Room', roomId), identity: 'alice' } as const;
    const [copied, encoded] = [await idle({ input }), await idle({ input, outputFormat: 'MP4' })];
    expect(await configOf(copied.recordingId)).toMatchObject({
      input: { roomId, identity: 'alice', url: null, listenPort: null },
      ...{ output: { format: 'MKV' }, video: { mode: 'COPY' }, audio: { mode: 'COPY' } },
    });
    expect(await configOf(encoded.recordingId)).toMatchObject({
      ...{ output: { format: 'MP4' }, video: { mode: 'TRANSCODE' }, audio: { mode: 'TRANSCODE', codec: 'AAC' } },
    });
  });

  test('of somebody who is present is one of their identity', async () => {
    const roomId = await createRoom(db, projectId);
    const participant = await db.participant.create({
      data: {
        ...{ id: crypto.randomUUID(), projectId, roomId, mediaId: `b.bob.${Date.now()}`, kind: 'BROWSER' },
        ...{ identity: 'bob', name: 'Bob', issues: [] },
      },
    });
    const { recordingId } = await idle({
      input: { type: 'PARTICIPANT', participantId: encodeId('Participant', participant.id) },
    });
    expect((await configOf(recordingId)).input).toMatchObject({ roomId, identity: 'bob' });
  });

  test('of a whole room is of its page', async () => {
    const roomId = await createRoom(db, projectId);
    const { name } = await db.room.findUniqueOrThrow({ where: { id: roomId } });
    const { recordingId } = await idle({ input: { type: 'ROOM', roomName: name, layout: 'SPEAKER' } });
    expect(await configOf(recordingId)).toMatchObject({
      input: { roomId, layout: 'speaker' },
      video: { mode: 'COPY' },
    });
  });

  test('keeps what its address says besides apart from it', async () => {
    const url = 'srt://127.0.0.1:9000?mode=caller&passphrase=said-in-the-url&latency=250&streamid=a%2Fb';
    const { recordingId } = await idle({ input: { type: 'SRT_URL', url, passphrase: 'said beside it' } });
    expect((await configOf(recordingId)).input).toMatchObject({
      ...{ url: 'srt://127.0.0.1:9000', passphrase: 'said-in-the-url', latencyMs: 250, streamId: 'a/b' },
    });
  });

  test('is made once, however often it is asked for with the same request id', async () => {
    const [one, two] = await Promise.all([idle({ requestId: 'once' }), idle({ requestId: 'once' })]);
    const again = await idle({ requestId: 'once' });
    expect([two.id, again.id]).toEqual([one.id, one.id]);
    expect((await refusal(idle({ requestId: 'once', name: 'Another' }))).code).toBe('CONFLICT');
  });
});

test('a stop that is sent again is answered as the first time, with the run that it stopped', async () => {
  const recording = await kit.create({ input: srt });
  expect(await recording.stop('once')).toBe(true);
  await recording.until('CANCELED', 'COMPLETE', 'FAILED');
  expect(await recording.stop('once')).toBe(true);
  expect(await recording.stop('another')).toBe(false);
  expect(await recording.stop('another')).toBe(false);
});

describe('is refused', () => {
  const field = (name: string) => ({ code: 'VALIDATION_FAILED', fields: [name] });
  const transcode = { mode: 'TRANSCODE' } as const;

  test.each<[string, Partial<CreateInput>, { code: string; fields?: string[] }]>([
    ['a name with other characters', { name: 'a/../b' }, field('name')],
    ['a name that is empty', { name: '  ' }, field('name')],
    ['a name of 101 characters', { name: 'a'.repeat(101) }, field('name')],
    ['a name with letters of other scripts', { name: 'Übertragung' }, field('name')],
    ['an input without its address', { input: { type: 'HLS' } }, field('input.url')],
    ['an address of another type', { input: { type: 'SRT_URL', url: 'http://a.test/' } }, field('input.url')],
    ['what is no address', { input: { type: 'RTSP_URL', url: 'rtsp//x' } }, field('input.url')],
    ['a file of ours', { input: { type: 'HLS', url: 'file:///etc/passwd' } }, field('input.url')],
    ['an address inside', { input: { type: 'RTMP_URL', url: 'rtmp://169.254.169.254/a/b' } }, { code: 'URL_REFUSED' }],
    ['an address of ours', { input: { type: 'HLS', url: 'http://192.168.1.1/a.m3u8' } }, { code: 'URL_REFUSED' }],
    ['a callback inside', { callbackUrl: 'http://10.0.0.1/' }, { code: 'URL_REFUSED' }],
    ['a setting of another input', { input: { type: 'RIST', passphrase: 'x'.repeat(12) } }, field('input.passphrase')],
    ['a passphrase that is too short', { input: { ...srt, passphrase: 'short' } }, field('input.passphrase')],
    ['a key of 17 bytes', { input: { ...srt, passphrase: 'x'.repeat(12), keyLength: 17 } }, field('input.keyLength')],
    ['a key without a passphrase', { input: { ...srt, keyLength: 16 } }, field('input.keyLength')],
    ['a latency of 19 ms', { input: { ...srt, latency: 19 } }, field('input.latency')],
    ['a wait of 0 s', { input: { ...srt, connectTimeout: 0 } }, field('input.connectTimeout')],
    ['a wait of more than a week', { input: { ...srt, reconnectTimeout: 604_801 } }, field('input.reconnectTimeout')],
    [
      'a stream key that is no part of an address',
      { input: { type: 'RTMP_SERVER', streamKey: 'a/b/c/d/e' } },
      field('input.streamKey'),
    ],
    ['what is no session description', { input: { type: 'RTP', sdp: 'hello' } }, field('input.sdp')],
    ['a room that is not there', { input: { type: 'ROOM', roomName: 'nowhere' } }, { code: 'NOT_FOUND' }],
    ['no room', { input: { type: 'ROOM' } }, field('input.roomId')],
    ['a split without a length', { mode: 'SPLIT_BY_TIME' }, field('splitEvery')],
    [
      'a split of 0/0/0',
      { mode: 'SPLIT_BY_TIME', splitEvery: { hours: 0, minutes: 0, seconds: 0 } },
      field('splitEvery'),
    ],
    ['a split of more than a day', { splitEvery: { hours: 24, seconds: 1 } }, field('splitEvery')],
    ['a split of one file', { mode: 'CONTINUOUS', splitEvery: { seconds: 1 } }, field('splitEvery')],
    ['a bit rate of 1', { transcoding: { video: { ...transcode, bitrate: 1 } } }, field('transcoding.video.bitrate')],
    [
      'a bit rate without end',
      { transcoding: { video: { ...transcode, bitrate: 2_000_000_000 } } },
      field('transcoding.video.bitrate'),
    ],
    ['a rate factor of 52', { transcoding: { video: { ...transcode, crf: 52 } } }, field('transcoding.video.crf')],
    ['a picture of 1 pixel', { transcoding: { video: { ...transcode, width: 1 } } }, field('transcoding.video.width')],
    [
      'a thousand frames per second',
      { transcoding: { video: { ...transcode, filterFps: 1_000 } } },
      field('transcoding.video.filterFps'),
    ],
    [
      'an encoder that is not there',
      { transcoding: { video: { ...transcode, hardwareDevice: '1' } } },
      field('transcoding.video.hardwareDevice'),
    ],
    ['a preset for what is copied', { transcoding: { video: { preset: 'SLOW' } } }, field('transcoding.video.preset')],
    [
      'MP3 of 400 kbit/s',
      { outputFormat: 'MP3', transcoding: { audio: { bitrate: 400_000 } } },
      field('transcoding.audio.bitrate'),
    ],
    [
      'Opus of 44,100 Hz',
      { outputFormat: 'MKV', transcoding: { audio: { codec: 'OPUS', sampleRate: 44_100 } } },
      field('transcoding.audio'),
    ],
    ['Opus in FLV', { outputFormat: 'FLV', transcoding: { audio: { codec: 'OPUS' } } }, field('transcoding.audio')],
    ['a picture in MP3', { outputFormat: 'MP3', transcoding: { video: transcode } }, field('transcoding.video')],
    [
      'neither picture nor sound',
      { transcoding: { video: { mode: 'NONE' }, audio: { mode: 'NONE' } } },
      field('transcoding.audio'),
    ],
    ['an HLS recording in pieces', { outputFormat: 'M3U8', splitEvery: { minutes: 1 } }, field('splitEvery')],
    ['a change of a picture that is copied', { videoChange: { rotate: 90 } }, field('videoChange')],
    [
      'a turn by 45 degrees',
      { videoChange: { rotate: 45 }, transcoding: { video: transcode } },
      field('videoChange.rotate'),
    ],
    ['an overlay on what is copied', { overlay: { text: 'a' } }, field('overlay')],
    ['an overlay of nothing', { overlay: {}, transcoding: { video: transcode } }, field('overlay.text')],
    [
      'an overlay of 201 characters',
      { overlay: { text: 'a'.repeat(201) }, transcoding: { video: transcode } },
      field('overlay.text'),
    ],
    [
      'a color that is a word',
      { overlay: { text: 'a', color: 'red' }, transcoding: { video: transcode } },
      field('overlay.color'),
    ],
    [
      'a change of sound that is copied',
      { audioChange: { gain: 3 }, transcoding: { audio: { mode: 'COPY' } } },
      field('audioChange'),
    ],
    ['a channel twice', { audioChange: { channels: [1, 1] } }, field('audioChange.channels')],
    ['a gain of 61 dB', { audioChange: { gain: 61 } }, field('audioChange.gain')],
    ['files that are kept for -1 days', { deleteAfter: -1 }, field('deleteAfter')],
    ['no time at all', { maxDuration: 0 }, field('maxDuration')],
    ['more than a week', { maxDuration: 604_801 }, field('maxDuration')],
  ])('%s', async (_what, input, expected) => {
    const { code, fields } = await refusal(idle(input));
    expect({ code, fields }).toEqual({ fields: [], ...expected });
  });

  test.each<[string, string]>([
    ['what is no picture', Buffer.from('<svg onload=alert(1)>').toString('base64')],
    ['a picture of more than 512 KB', png(10, 10, 524_289)],
    ['a picture of few bytes and many pixels', png(50_000, 50_000)],
  ])('%s as an overlay', async (_what, image) => {
    const attempt = idle({ overlay: { image }, transcoding: { video: transcode } });
    expect((await refusal(attempt)).fields).toEqual(['overlay.image']);
  });

  test('nothing of the above left a recording behind', async () => {
    expect(await db.recording.count({ where: { projectId, name: 'Test', inputType: 'RIST' } })).toBe(0);
  });

  test('a picture that is one is shown as it was given', async () => {
    const image = png(320, 200, 5_000);
    const { id } = await idle({ overlay: { image, x: 5 }, transcoding: { video: transcode } });
    const query = 'query($id: ID!) { recording(id: $id) { overlay { kind x y image text } } }';
    expect(await client.get(query, { id })).toEqual({
      recording: { overlay: { kind: 'IMAGE', x: 5, y: 1, image, text: null } },
    });
  });
});

describe('a change', () => {
  test('leaves what it does not name as it is, and null makes it as usual', async () => {
    const recording = await idle({
      input: { ...srt, passphrase: 'a passphrase of ours', latency: 500 },
      transcoding: { video: { mode: 'TRANSCODE', bitrate: 2_000_000, crf: 20 } },
      splitEvery: { minutes: 5 },
    });
    await recording.update({ name: 'Renamed', transcoding: { video: { bitrate: 1_000_000 } } });
    expect(await configOf(recording.recordingId)).toMatchObject({
      input: { passphrase: 'a passphrase of ours', latencyMs: 500 },
      ...{ video: { mode: 'TRANSCODE', bitrate: 1_000_000, crf: 20 }, output: { splitMs: 300_000 } },
    });
    await recording.update({ input: { latency: null }, transcoding: { video: { crf: null } }, mode: 'CONTINUOUS' });
    expect(await configOf(recording.recordingId)).toMatchObject({
      input: { passphrase: 'a passphrase of ours', latencyMs: 120 },
      ...{ video: { bitrate: 1_000_000, crf: null }, output: { splitMs: null } },
    });
    expect((await recording.facts()).name).toBe('Renamed');
    await recording.update({ input: { type: 'HLS', url: 'http://127.0.0.1/a.m3u8' } });
    expect((await configOf(recording.recordingId)).input).toMatchObject({
      type: 'HLS',
      passphrase: null,
      url: 'http://127.0.0.1:80/a.m3u8',
    });
  });

  test('is checked as a whole: what was set before counts', async () => {
    const recording = await idle({ transcoding: { audio: { codec: 'OPUS' } }, outputFormat: 'MKV' });
    const { code, fields } = await refusal(recording.update({ outputFormat: 'FLV' }));
    expect({ code, fields }).toEqual({ code: 'VALIDATION_FAILED', fields: ['transcoding.audio'] });
    expect((await recording.facts()).outputFormat).toBe('MKV');
  });

  test('of how long files are kept counts for those that there are', async () => {
    const recordingId = await createRecordingRow(db, projectId);
    const jobId = await createRunRow(db, projectId, recordingId);
    const createdAt = new Date('2040-01-01T00:00:00Z');
    const { id } = await createFileRow(db, jobId, { createdAt, remindedAt: new Date() });
    const expiry = async () => {
      const { expiresAt, remindedAt } = await db.file.findUniqueOrThrow({ where: { id } });
      return { expiresAt: expiresAt?.toISOString() ?? null, remindedAt };
    };
    const recording = kit.find(encodeId('Recording', recordingId));
    await recording.update({ deleteAfter: 10 });
    expect(await expiry()).toEqual({ expiresAt: '2040-01-11T00:00:00.000Z', remindedAt: null });
    await recording.update({ deleteAfter: 0 });
    expect(await expiry()).toEqual({ expiresAt: null, remindedAt: null });
  });
});

describe('running', () => {
  const udp = { type: 'UDP' } as const;
  const states = async (recordingId: string) =>
    (await db.job.findMany({ where: { recordingId }, orderBy: { id: 'asc' } })).map(
      ({ state, reason }) => `${state} ${reason}`,
    );

  test('begins with the recording, is replaced by another start, and ends when it is stopped, for as often as one likes', async () => {
    const recording = await kit.create({ input: udp });
    expect(await recording.facts()).toMatchObject({ active: true, currentRun: { state: expect.any(String) } });
    await recording.start('again');
    await recording.start('again');
    await expect
      .poll(() => states(recording.recordingId), { timeout: 30_000 })
      .toEqual(['CANCELED CANCELED', expect.stringMatching(/^(QUEUED|STARTING)/)]);
    // As an id of a job, a recording's means its newest run.
    const { job } = await client.get<{ job: { recording: { id: string } } }>(
      'query($id: ID!) { job(id: $id) { recording { id } } }',
      { id: recording.id },
    );
    expect(job.recording.id).toBe(recording.id);
    await recording.stop();
    await recording.stop();
    await recording.until('CANCELED');
    expect(await recording.facts()).toMatchObject({ active: false, state: 'INACTIVE', currentRun: null });
    await recording.update({ active: true });
    await recording.update({ active: true });
    expect(await states(recording.recordingId)).toHaveLength(3);
    await recording.update({ active: false });
    await recording.until('CANCELED');
  });

  test('is told to the callback of its recording, in the words of recordings', async () => {
    const recording = await kit.create({ input: udp, name: 'Told', callbackUrl: 'http://127.0.0.1:19998/hook' });
    const jobId = await recording.runJobId();
    await recording.stop();
    await recording.until('CANCELED');
    const told = await db.webhookDelivery.findMany({ where: { jobId }, orderBy: { sequence: 'asc' } });
    expect(told[0]).toMatchObject({
      url: 'http://127.0.0.1:19998/hook',
      payload: { kind: 'RECORDING', recordingId: recording.id, name: 'Told', status: 'waiting', state: 'QUEUED' },
    });
    expect(told.at(-1)?.payload).toMatchObject({ status: 'inactive', state: 'CANCELED' });
  });

  test('follows a change at once, or from the next run on if it is to', async () => {
    const recording = await kit.create({ input: udp });
    const source = async () => {
      const { source: now, startTimeoutMs } = await db.job.findUniqueOrThrow({
        where: { id: await recording.runJobId() },
      });
      const { recording: config } = now as unknown as { recording: RecordingConfig };
      return { format: config.output.format, startTimeoutMs };
    };
    expect(await source()).toEqual({ format: 'MP4', startTimeoutMs: 86_400_000 });
    await recording.update({ outputFormat: 'MKV', takesEffect: 'NEXT_RUN' });
    expect(await source()).toEqual({ format: 'MP4', startTimeoutMs: 86_400_000 });
    await recording.update({ input: { connectTimeout: 60 } });
    expect(await source()).toEqual({ format: 'MKV', startTimeoutMs: 60_000 });
    expect((await recording.facts()).runs.totalCount).toBe(1);
    const roomId = await createRoom(db, projectId);
    await recording.update({ input: { type: 'ROOM', roomId: encodeId('Room', roomId) } });
    const run = await db.job.findUniqueOrThrow({ where: { id: await recording.runJobId() } });
    expect({ kind: (run.source as { kind: string }).kind, roomId: run.roomId }).toEqual({ kind: 'page', roomId });
    await recording.stop();
    await expect
      .poll(() => states(recording.recordingId), { timeout: 30_000 })
      .toEqual(['CANCELED CANCELED', expect.stringMatching(/^(CANCELED|FAILED)/)]);
  });

  test('may change while something is written of its run', async () => {
    const recording = await kit.create({ input: udp });
    const jobId = await recording.runJobId();
    const writer = new Client({ connectionString: inject('stack').databaseUrl });
    await writer.connect();
    onTestFinished(() => writer.end());
    const write = () => writer.query('UPDATE job SET updated_at = now() WHERE id = $1', [jobId]);
    await writer.query('BEGIN');
    await write();
    const changed = recording.update({ input: { connectTimeout: 60 } });
    const waits = async () => {
      const waiting = await db.$queryRaw<unknown[]>`
        SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%UPDATE "public"."job"%"source"%'`;
      return waiting.length;
    };
    await expect.poll(waits, { timeout: 10_000 }).toBeGreaterThan(0);
    // What was written before in the same transaction looks at the recording too.
    await write();
    await writer.query('COMMIT');
    await changed;
    expect((await db.job.findUniqueOrThrow({ where: { id: jobId } })).startTimeoutMs).toBe(60_000);
    await recording.stop();
  }, 60_000);

  test('goes with the recording when that is deleted, and so does all that there is of it', async () => {
    const recording = await kit.create({ input: udp });
    const jobId = await recording.runJobId();
    const folder = join(inject('stack').dataDir, 'jobs', jobId);
    await recording.until('STARTING');
    await expect.poll(() => existsSync(folder), { timeout: 30_000 }).toBe(true);
    const file = await createFileRow(db, jobId);
    await recording.remove();
    await expect(recording.facts()).rejects.toThrow('gone');
    expect(
      (await fetch(`${inject('stack').url}/files/${file.id}/a`, { headers: { authorization: `Bearer ${key}` } }))
        .status,
    ).toBe(410);
    expect((await refusal(recording.remove())).code).toBe('NOT_FOUND');
    const left = async () => ({
      recordings: await db.recording.count({ where: { id: recording.recordingId } }),
      jobs: await db.job.count({ where: { id: jobId } }),
      files: await db.file.count({ where: { jobId } }),
    });
    await expect.poll(left, { timeout: 60_000, interval: 500 }).toEqual({ recordings: 0, jobs: 0, files: 0 });
    expect(existsSync(folder)).toBe(false);
  });
});

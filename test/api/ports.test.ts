/** The ports at which inputs arrive: each is one recording's, and senders are told exactly where they are. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { createDatabase, type Database } from '../../src/db.js';
import { portsEach, type RecordingConfig, type RecordingInput } from '../../src/recordings/config.js';
import { sendTo } from '../../src/recordings/send-to.js';
import { CapacityError } from '../../src/services/errors.js';
import { createInputPorts } from '../../src/services/recording-ports.js';
import { claimInputPorts } from '../../stack/input-ports.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { recordingOf } from '../testkit/recording-config.js';
import { createRecordingRow } from '../testkit/recording-rows.js';
import { createRecordingKit, type RecordingKit } from '../testkit/recordings.js';

const inputOf = (input: Partial<RecordingInput> & Pick<RecordingInput, 'type'>) => recordingOf({ input }).input;

describe('out of the range', () => {
  let own: OwnDatabase;
  let projectId: string;
  beforeAll(async () => {
    own = await ownDatabase();
    projectId = await createProject(own.db);
  });
  afterAll(() => own.remove());
  const portsOf = (first: number, last: number) =>
    createInputPorts({
      db: own.db,
      config: { inputs: { address: '127.0.0.1', host: undefined, ports: [first, last] } },
    });

  test('each recording gets ports in a row that no other has, until none are left, which is said', async () => {
    const ports = portsOf(20_001, 20_020);
    const given: number[] = [];
    for (let index = 0; index < 4; index += 1) {
      const port = await ports.pick();
      given.push(port);
      await createRecordingRow(own.db, projectId, { listenPort: port });
    }
    expect(given.toSorted()).toEqual([20_002, 20_006, 20_010, 20_014]);
    expect(portsEach).toBe(4);
    await expect(ports.pick()).rejects.toThrow(CapacityError);
    await expect(ports.pick()).rejects.toThrow(/INPUT_PORTS \(20001-20020\)/);
    await own.db.recording.updateMany({ where: { listenPort: 20_006 }, data: { listenPort: null } });
    expect(await ports.pick()).toBe(20_006);
  });

  test('ports that were given out by another range are not given twice', async () => {
    await createRecordingRow(own.db, projectId, { listenPort: 21_002 });
    await expect(portsOf(21_000, 21_007).pick()).rejects.toThrow(CapacityError);
    expect(await portsOf(21_000, 21_011).pick()).toBe(21_008);
  });
});

describe('of a recording', () => {
  let db: Database;
  let kit: RecordingKit;
  beforeAll(async () => {
    db = createDatabase(inject('stack').databaseUrl);
    kit = createRecordingKit({ url: inject('stack').url, apiKey: await createKey(db, await createProject(db)) });
  });
  afterAll(async () => {
    await kit.close();
    await db.$disconnect();
  });
  const listenPort = async (recordingId: string) =>
    (await db.recording.findUnique({ where: { id: recordingId } }))?.listenPort ?? null;

  test('are its own from its making, also when many are made at once, and free when it is deleted', async () => {
    const made = await Promise.all(
      Array.from({ length: 12 }, () => kit.create({ input: { type: 'UDP' }, active: false })),
    );
    const given = await Promise.all(made.map(({ recordingId }) => listenPort(recordingId)));
    expect(new Set(given).size).toBe(made.length);
    await Promise.all(made.map((recording) => recording.remove()));
    expect(await db.recording.count({ where: { listenPort: { in: given as number[] } } })).toBe(0);
  });

  test('are given up and taken with the type of its input', async () => {
    const recording = await kit.create({ input: { type: 'SRT_SERVER' }, active: false });
    const first = await listenPort(recording.recordingId);
    await recording.update({ input: { type: 'RTMP_SERVER' } });
    expect(await listenPort(recording.recordingId)).toBe(first);
    await recording.update({ input: { type: 'HLS', url: 'http://127.0.0.1/a.m3u8' } });
    expect(await listenPort(recording.recordingId)).toBeNull();
    await recording.update({ input: { type: 'RIST' } });
    expect(await listenPort(recording.recordingId)).toEqual(expect.any(Number));
  });

  test('are not needed for a multicast group, which has its own', async () => {
    const input = { type: 'UDP', url: 'udp://239.1.2.3:5004' } as const;
    const allowed = await kit.create({ input, active: false }).catch((error: Error) => error.message);
    // Development lets loopback pass, and nothing else that is no public address.
    expect(allowed).toMatch(/^URL_REFUSED/);
    const recording = await kit.create({ input: { type: 'UDP' }, active: false });
    const { config } = await db.recording.findUniqueOrThrow({ where: { id: recording.recordingId } });
    const group = { ...(config as unknown as RecordingConfig) };
    group.input = { ...group.input, ...input, multicastGroup: '239.1.2.3', listenPort: 5_004 };
    await db.recording.update({
      where: { id: recording.recordingId },
      data: { config: group as never, listenPort: null },
    });
    // Back at a port of ours: what a group had is none.
    await recording.update({ input: { url: null } });
    const port = await listenPort(recording.recordingId);
    expect(port).not.toBeNull();
    expect((await recording.facts()).input).toMatchObject({
      url: null,
      listenPort: port,
      sendTo: `udp://127.0.0.1:${port}`,
    });
  });

  test('are told with the name of the machine that runs it', async () => {
    const recording = await kit.create({ input: { type: 'RTMP_SERVER', streamKey: 'my-own-key' }, active: false });
    const port = await listenPort(recording.recordingId);
    expect((await recording.facts()).input).toEqual({
      ...{ type: 'RTMP_SERVER', url: null, listenPort: port, streamKey: 'my-own-key' },
      sendTo: `rtmp://127.0.0.1:${port}/live/my-own-key`,
      sendCommand: `ffmpeg -re -i input.mp4 -c copy -f flv 'rtmp://127.0.0.1:${port}/live/my-own-key'`,
      obs: { server: `rtmp://127.0.0.1:${port}/live`, streamKey: 'my-own-key' },
    });
    expect(recording.id).toBe(encodeId('Recording', recording.recordingId));
  });
});

test.each<[string, RecordingInput, object]>([
  [
    'SRT with a passphrase',
    inputOf({ type: 'SRT_SERVER', listenPort: 9_000, passphrase: "it's & a secret", keyLength: 32 }),
    {
      url: 'srt://[::1]:9000?mode=caller&passphrase=it%27s%20%26%20a%20secret&pbkeylen=32',
      command: `ffmpeg -re -i input.mp4 -c copy -f mpegts -passphrase 'it'\\''s & a secret' -pbkeylen 32 'srt://[::1]:9000?mode=caller'`,
      obs: {
        server: 'srt://[::1]:9000?mode=caller&passphrase=it%27s%20%26%20a%20secret&pbkeylen=32',
        streamKey: '',
      },
    },
  ],
  [
    'tracks by RTP, each to ports of its own',
    inputOf({
      ...{ type: 'RTP', listenPort: 9_000 },
      tracks: [
        { kind: 'VIDEO', payloadType: 96, encoding: 'H264', clockRate: 90_000, channels: null, parameters: {} },
        { kind: 'AUDIO', payloadType: 97, encoding: 'opus', clockRate: 48_000, channels: 2, parameters: {} },
      ],
    }),
    {
      url: 'rtp://[::1]:9000',
      command:
        "ffmpeg -re -i input.mp4 -map 0:v -c:v copy -payload_type 96 -f rtp 'rtp://[::1]:9000' -map 0:a -c:a copy -payload_type 97 -f rtp 'rtp://[::1]:9002'",
      obs: null,
    },
  ],
  [
    'what is sent to a group',
    inputOf({ type: 'UDP', url: 'udp://239.1.2.3:5004', multicastGroup: '239.1.2.3' }),
    {
      url: 'udp://239.1.2.3:5004',
      command: "ffmpeg -re -i input.mp4 -c copy -f mpegts 'udp://239.1.2.3:5004?pkt_size=1316'",
      obs: null,
    },
  ],
])('a sender is told where to send %s', (_what, input, expected) => {
  expect(sendTo(input, '::1')).toEqual(expected);
});

test('nobody is told to send to what we call', () => {
  expect(sendTo(inputOf({ type: 'HLS', url: 'http://a.test/a.m3u8' }), 'here')).toBeNull();
});

test('stacks of one machine do not share ports', () => {
  const ranges = Array.from({ length: 4 }, () => claimInputPorts());
  expect(new Set(ranges.map(([first]) => first)).size).toBe(ranges.length);
  for (const [first, last] of ranges) expect(last - first).toBeGreaterThanOrEqual(399);
});

/** Rooms as they are recorded: by their clients, and by themselves. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { api } from '../testkit/api.js';
import { type ArchiveKit, createArchiveKit } from '../testkit/archives.js';
import { expectPlayable } from '../testkit/media.js';
import { readSound } from '../testkit/media-read.js';
import { joinRoom, type RoomPage } from '../testkit/people.js';
import { isHue, readHue, toneShares } from '../testkit/people-read.js';

const stack = inject('stack');
const client = api(stack.apiKey);
const folder = mkdtempSync(join(tmpdir(), 'tapedeck-recorded-'));
const open: RoomPage[] = [];
let kit: ArchiveKit;
beforeAll(() => {
  kit = createArchiveKit(stack);
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((page) => page.close()));
});
afterAll(async () => {
  await kit.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What a recording is tried with: small, since two are made at once beside the people themselves. */
const small = { width: 320, height: 240, bitrate: 500_000, quality: 28, fps: 15, fpsDen: 1, gop: 2 };
const recordingSpec = { profiles: [{ ...small, name: 'small', profile: 'H264_BASELINE', encoder: 'H264' }] };

async function ensureRoom(input: object): Promise<{ id: string; sessionId: string }> {
  const { ensureRoom: made } = await client.get<{ ensureRoom: { room: { id: string }; sessionId: string } }>(
    'mutation($input: EnsureRoomInput!) { ensureRoom(input: $input) { ... on EnsureRoomPayload { sessionId room { id } } ... on Error { code message } } }',
    { input },
  );
  return { id: made.room.id, sessionId: made.sessionId };
}

async function enter(roomId: string, name: string, look: { hue: number; tone: number }): Promise<void> {
  const { createRoomToken } = await client.get<{ createRoomToken: { token: string } }>(
    'mutation($input: CreateRoomTokenInput!) { createRoomToken(input: $input) { ... on CreateRoomTokenPayload { token } ... on Error { code message } } }',
    { input: { roomId, name, identity: name } },
  );
  const { token } = createRoomToken;
  open.push(await joinRoom({ ...{ stack, token, name, ...look }, width: 320, height: 180 }));
}

interface SessionFacts {
  record: boolean;
  recordingStatus: string;
  endedAt: string | null;
  archives: { state: string; reason: string | null; automatic: boolean; downloadUrl: string | null }[];
}

async function sessionOf(roomId: string): Promise<SessionFacts | undefined> {
  const { sessions } = await client.get<{ sessions: { nodes: (SessionFacts & { jobs: { nodes: object[] } })[] } }>(
    `query($roomId: ID!) { sessions(roomId: $roomId, record: true) { nodes { record recordingStatus endedAt
       jobs(first: 5) { nodes { archive { state reason automatic downloadUrl } } } } } }`,
    { roomId },
  );
  const [session] = sessions.nodes;
  const archives = session?.jobs.nodes.map((job) => (job as { archive: SessionFacts['archives'][number] }).archive);
  return session && { ...session, archives: archives ?? [] };
}

const people = {
  Ada: { hue: 0, tone: 330 },
  Ben: { hue: 120, tone: 550 },
};
const tones = Object.values(people).map(({ tone }) => tone);
const halves = [0, 320].map((x) => ({ x, y: 90, width: 320, height: 180 }));

describe('a room with people', () => {
  test('is recorded as it is seen and heard, person by person, in the layout that is set meanwhile, and ends when it stays empty; and is recorded by itself', async () => {
    const name = `recorded ${crypto.randomUUID()}`;
    const room = await ensureRoom({ name, record: true, recordingSpec });
    for (const [who, look] of Object.entries(people)) await enter(room.id, who, look);
    const size = { width: 640, height: 360 };
    const archive = await kit.start({ url: undefined, roomName: name, ...size, maxDuration: 120, idleTimeout: 5 });
    await archive.recordedFor(8_000);
    const { setLayout } = await client.get<{ setLayout: { __typename: string } }>(
      'mutation($input: SetLayoutInput!) { setLayout(input: $input) { __typename ... on Error { message } } }',
      { input: { jobId: archive.id, layout: 'SINGLE' } },
    );
    expect(setLayout.__typename).toBe('SetLayoutPayload');
    await archive.recordedFor(20_000);
    await Promise.all(open.splice(0).map((page) => page.close()));

    expect(await archive.until('COMPLETE')).toMatchObject({ reason: 'IDLE_TIMEOUT', gaps: [] });
    const file = await archive.download(folder);
    await expectPlayable(file, { ...size, durationMs: 35_000, toleranceMs: 30_000 });
    const seen = await Promise.all(halves.map((half) => readHue(file, half, 6)));
    expect(seen.map((hue, index) => isHue(hue, [0, 120][index] as number))).toEqual([true, true]);
    // Alone, one of them has all of the picture.
    const later = await Promise.all(halves.map((half) => readHue(file, half, 18)));
    expect(isHue(later[0] as number, later[1] as number)).toBe(true);
    const shares = toneShares(await readSound(file), tones);
    expect(shares.every((share) => share > 0.25)).toBe(true);

    const status = async () => (await sessionOf(room.id))?.recordingStatus;
    await expect.poll(status, { timeout: 120_000, interval: 250 }).toBe('READY');
    const session = await sessionOf(room.id);
    expect(session?.endedAt).not.toBeNull();
    expect(session?.archives.filter(({ automatic }) => automatic)).toMatchObject([
      { state: 'COMPLETE', reason: 'SESSION_ENDED' },
    ]);
  }, 300_000);
});

describe('what cannot be recorded of a room is refused, and changes nothing', () => {
  const start = async (input: object) => {
    const { startArchive } = await client.get<{ startArchive: { code?: string; issues?: { field: string }[] } }>(
      `mutation($input: StartArchiveInput!) { startArchive(input: $input) { ... on Error { code }
         ... on ValidationError { issues { field } } } }`,
      { input },
    );
    return [startArchive.code, ...(startArchive.issues ?? []).map(({ field }) => field)];
  };

  test.each([
    [{ roomName: 'nobody knows it' }, ['NOT_FOUND']],
    [{ roomId: Buffer.from('Room:01890000-0000-7000-8000-000000000000').toString('base64url') }, ['NOT_FOUND']],
    [{}, ['VALIDATION_FAILED', 'url']],
    [{ url: `${stack.url}/demo`, layout: 'GRID' }, ['VALIDATION_FAILED', 'layout']],
    [{ url: `${stack.url}/demo`, idleTimeout: 60 }, ['VALIDATION_FAILED', 'idleTimeout']],
    [{ url: `${stack.url}/demo`, hasAudio: false, hasVideo: false }, ['VALIDATION_FAILED', 'hasVideo']],
    [{ url: `${stack.url}/demo`, record: false }, ['VALIDATION_FAILED', 'record']],
    [{ url: `${stack.url}/demo`, broadcastUrl: 'http://127.0.0.1/x' }, ['VALIDATION_FAILED', 'broadcastUrl']],
    [{ url: `${stack.url}/demo`, broadcastUrl: 'rtmp://10.1.2.3/live/x' }, ['URL_REFUSED']],
  ])('%j', async (input, answer) => {
    const jobs = async () => (await client.get<{ jobs: { totalCount: number } }>('{ jobs { totalCount } }')).jobs;
    const before = await jobs();
    expect(await start(input)).toEqual(answer);
    expect(await jobs()).toEqual(before);
  });
});

/** Rooms as they are recorded: by their clients, person by person, and by themselves; with a render in them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { api } from '../testkit/api.js';
import { type ArchiveKit, createArchiveKit } from '../testkit/archives.js';
import { expectPlayable } from '../testkit/media.js';
import { readSound } from '../testkit/media-read.js';
import { joinRoom, type RoomPage } from '../testkit/people.js';
import { type Area, gridPlaces, isHue, readHue, toneShares } from '../testkit/people-read.js';
import { createRenderKit } from '../testkit/renders.js';
import { unpackTar } from '../testkit/tar.js';

const stack = inject('stack');
const client = api(stack.apiKey);
const renders = createRenderKit(stack.apiKey);
const patience = { timeout: 60_000, interval: 200 };
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
  archives: { id: string; state: string; reason: string | null; automatic: boolean }[];
}

async function sessionOf(roomId: string): Promise<SessionFacts | undefined> {
  const { sessions } = await client.get<{
    sessions: {
      nodes: (Omit<SessionFacts, 'archives'> & {
        jobs: { nodes: { archive: SessionFacts['archives'][number] | null }[] };
      })[];
    };
  }>(
    `query($roomId: ID!) { sessions(roomId: $roomId, record: true) { nodes { record recordingStatus endedAt
       jobs(first: 5) { nodes { archive { id state reason automatic } } } } } }`,
    { roomId },
  );
  const [session] = sessions.nodes;
  if (!session) return undefined;
  return { ...session, archives: session.jobs.nodes.flatMap(({ archive }) => archive ?? []) };
}

const people = {
  Ada: { hue: 0, tone: 330 },
  Ben: { hue: 120, tone: 550 },
};
const tones = Object.values(people).map(({ tone }) => tone);
const hues = Object.values(people).map(({ hue }) => hue);
const size = { width: 640, height: 360 };
const halves = [0, 320].map((x) => ({ x, y: 90, width: 320, height: 180 }));

/** Where people are in a render of 640x480 that is shown whole in a picture of `size`. */
function placesOnStage(): Area[] {
  const scale = size.height / 480;
  return gridPlaces(hues.length, { width: 640, height: 480 }).map(({ x, y, width, height }) => ({
    x: (size.width - 640 * scale) / 2 + x * scale,
    ...{ y: y * scale, width: width * scale, height: height * scale },
  }));
}

/** Whether these are people's colours, in the order of their names. */
async function areSeen(file: string, places: readonly Area[], atSeconds: number): Promise<boolean[]> {
  const seen = await Promise.all(places.map((place) => readHue(file, place, atSeconds)));
  return seen.map((hue, index) => isHue(hue, hues[index] as number));
}

describe('a room with people', () => {
  test('is recorded as it is seen and heard, person by person, in the layout that is set meanwhile and with what is rendered into it, and ends when it stays empty; and is recorded by itself', async () => {
    const name = `recorded ${crypto.randomUUID()}`;
    const room = await ensureRoom({ name, record: true, recordingSpec });
    for (const [who, look] of Object.entries(people)) await enter(room.id, who, look);
    const archive = await kit.start({
      ...{ url: undefined, roomName: name, ...size, maxDuration: 300, idleTimeout: 5, individualStreamRecord: true },
    });
    await archive.recordedFor(8_000);
    const { setLayout } = await client.get<{ setLayout: { __typename: string } }>(
      'mutation($input: SetLayoutInput!) { setLayout(input: $input) { __typename ... on Error { message } } }',
      { input: { jobId: archive.id, layout: 'SINGLE' } },
    );
    expect(setLayout.__typename).toBe('SetLayoutPayload');
    await archive.recordedFor(16_000);
    const render = await renders.start({ roomId: room.id, resolution: 'R640X480', name: 'Stage' });
    const status = async () => (await renders.facts(render.id)).status;
    await expect.poll(status, patience).toBe('STARTED');
    const staged = ((await archive.facts()).duration ?? 0) + 6;
    await archive.recordedFor((staged + 2) * 1000);
    await renders.stop(render.id);
    await expect.poll(status, patience).toBe('STOPPED');
    await Promise.all(open.splice(0).map((page) => page.close()));

    expect(await archive.until('COMPLETE')).toMatchObject({ reason: 'IDLE_TIMEOUT', gaps: [] });
    const { manifest, path } = await unpackTar(await archive.download(folder), join(folder, 'unpacked'));
    const file = path(manifest.composed[0]?.file as string);
    await expectPlayable(file, { ...size, durationMs: 60_000, toleranceMs: 50_000 });
    expect(await areSeen(file, halves, 6)).toEqual([true, true]);
    // Alone, one of them has all of the picture.
    const [left, right] = await Promise.all(halves.map((half) => readHue(file, half, 14)));
    expect(isHue(left as number, right as number)).toBe(true);
    // A shared screen, such as a render, is what is shown alone: with both of them on it, and not itself.
    expect(await areSeen(file, placesOnStage(), staged)).toEqual([true, true]);
    const shares = toneShares(await readSound(file), tones);
    expect(shares.every((share) => share > 0.25)).toBe(true);

    const alone = manifest.participants.sort((a, b) => a.name.localeCompare(b.name));
    expect(alone.map((participant) => participant.name)).toEqual(['Ada', 'Ben', 'Stage']);
    for (const [index, { files }] of alone.slice(0, 2).entries()) {
      const own = path(files[0]?.file as string);
      expect(isHue(await readHue(own, { x: 0, y: 0, width: 320, height: 180 }, 4), hues[index] as number)).toBe(true);
      const heard = toneShares(await readSound(own), tones);
      expect(heard[index]).toBeGreaterThan(0.7);
      expect(heard[1 - index]).toBeLessThan(0.05);
    }

    const recordingStatus = async () => (await sessionOf(room.id))?.recordingStatus;
    await expect.poll(recordingStatus, { timeout: 120_000, interval: 250 }).toBe('READY');
    const session = await sessionOf(room.id);
    expect(session?.endedAt).not.toBeNull();
    const automatic = session?.archives.filter((each) => each.automatic) ?? [];
    expect(automatic).toMatchObject([{ state: 'COMPLETE', reason: 'SESSION_ENDED' }]);
    const byItself = await kit.find(automatic[0]?.id as string).download(folder);
    expect(await areSeen(byItself, gridPlaces(hues.length, small), 6)).toEqual([true, true]);
    expect(toneShares(await readSound(byItself), tones).every((share) => share > 0.25)).toBe(true);
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

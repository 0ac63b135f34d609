import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { trackFile } from '../../src/jobs/capture.js';
import type { MediaServer } from '../../src/media/media-server.js';
import { createLocalStorage } from '../../src/storage/local.js';
import { finalizeJob } from '../../worker/finalize/finalize.js';
import { sendCommand } from '../../worker/host/client.js';
import { hostOn, livePage, servePages, type TestHost } from '../testkit/host.js';
import { expectTogether } from '../testkit/media.js';
import { mediaTools } from '../testkit/media-parts.js';
import { readBeepsAndFlashes, readFrames, readSound } from '../testkit/media-read.js';
import { type OwnMediaServer, startMediaServer } from '../testkit/media-server.js';
import {
  colourOf,
  filmOf,
  heardTone,
  personSize,
  publishPeople,
  type RtpPeople,
  type RtpPerson,
} from '../testkit/rtp-people.js';
import { unpackTar } from '../testkit/tar.js';

const patience = { timeout: 40_000 };
// Several people, a page and a tar: most of a minute where other tests run beside it.
vi.setConfig({ testTimeout: 120_000 });
const anna: RtpPerson = { identity: 'anna', colour: 'red', tone: 437 };
const ben: RtpPerson = { identity: 'ben', colour: 'blue', tone: 700, codec: 'h264' };
const carl: RtpPerson = { identity: 'carl', colour: 'lime', tone: 1_100, sends: ['AUDIO'] };
const tones = [anna, ben, carl].map(({ tone }) => tone);

let own: OwnMediaServer;
let server: MediaServer;
const inRooms: RtpPeople[] = [];

beforeAll(async () => {
  await Promise.all([anna, ben, carl].map(filmOf));
  own = await startMediaServer({ listening: false });
  server = await own.connect();
  const { url, apiSecret, adminKey } = own.address;
  vi.stubEnv('JANUS_URL', url);
  vi.stubEnv('JANUS_API_SECRET', apiSecret);
  vi.stubEnv('JANUS_ADMIN_KEY', adminKey);
});
afterEach(() => Promise.all(inRooms.splice(0).map((people) => people.kill())));
afterAll(async () => {
  vi.unstubAllEnvs();
  await own.close();
});

async function publish(roomId: string, people: RtpPerson[], to = server): Promise<RtpPeople> {
  const published = await publishPeople(to, roomId, people);
  inRooms.push(published);
  return published;
}

/** A host that records a page and everybody in a room of their own. */
async function hostOnRoom(roomId: string): Promise<TestHost> {
  const url = await servePages({ '/': livePage() });
  return hostOn(`${url}/`, {
    ...{ width: 320, height: 240, maxDurationMs: 120_000 },
    ...{ room: { roomId, layout: 'grid' }, individual: true },
  });
}

const tracksOf = (host: TestHost) => {
  const entries = host.manifest();
  const ends = entries.filter((entry) => entry.type === 'track-ended');
  const zeros = entries.filter((entry) => entry.type === 'track-first-media');
  return entries
    .filter((entry) => entry.type === 'track-started')
    .map(({ track, origin }) => ({
      ...{ track, identity: origin.identity },
      zeroAt: zeros.find((each) => each.track === track)?.at ?? null,
      cause: ends.find((each) => each.track === track)?.cause ?? null,
    }));
};

/** Waits until these people are recorded at this moment, and nobody else, for so long already. */
async function recorded(host: TestHost, identities: string[], forMs = 1_500): Promise<void> {
  const running = () => tracksOf(host).filter(({ zeroAt, cause }) => zeroAt !== null && cause === null);
  await expect
    .poll(
      () =>
        running()
          .map(({ identity }) => identity)
          .sort(),
      patience,
    )
    .toEqual([...identities].sort());
  await expect
    .poll(() => Date.now() - Math.max(...running().map(({ zeroAt }) => zeroAt ?? 0)), patience)
    .toBeGreaterThan(forMs);
}

async function stopped(host: TestHost): Promise<void> {
  await sendCommand(host.identity, { command: 'stop' });
  expect(await host.outcome()).toEqual({ kind: 'stopped' });
  expect(host.leftovers()).toEqual([]);
}

/** The tar of what the host has recorded. */
async function delivered(host: TestHost) {
  const jobFolder = dirname(host.folder);
  const storageFolder = join(jobFolder, 'storage');
  const { files } = await finalizeJob({
    ...{ jobFolder, jobId: 'job-1', name: 'Session', tools: mediaTools, storage: createLocalStorage(storageFolder) },
  });
  const tar = files.find(({ kind }) => kind === 'TAR');
  expect(tar).toMatchObject({ mediaType: 'application/x-tar', name: expect.stringMatching(/^Session-.*\.tar$/) });
  return unpackTar(join(storageFolder, tar?.storageKey as string), join(jobFolder, 'unpacked'));
}

async function look(file: string) {
  const [frames, sound] = [await readFrames(file, personSize), await readSound(file)];
  return { frames, sound, tone: heardTone(sound, tones), colour: await colourOf(file) };
}

test('everybody has files of their own, with their own picture and sound, all on one clock', async () => {
  const roomId = randomUUID();
  const first = await publish(roomId, [anna, ben]);
  const host = await hostOnRoom(roomId);
  await recorded(host, ['anna', 'ben'], 3_000);
  const second = await publish(roomId, [carl]);
  await recorded(host, ['anna', 'ben', 'carl']);
  await first.leave();
  await recorded(host, ['carl']);
  await publish(roomId, [anna]);
  await recorded(host, ['anna', 'carl'], 6_000);
  await stopped(host);
  expect(
    tracksOf(host)
      .map(({ identity, cause }) => `${identity} ${cause}`)
      .sort(),
  ).toEqual(['anna LEFT', 'anna STOPPED', 'ben LEFT', 'carl STOPPED']);
  expect(second.mediaIds).toHaveLength(1);

  const { manifest, path, names } = await delivered(host);
  expect(names.at(0)).toBe('composed.mp4');
  expect(names.at(-1)).toBe('manifest.json');
  const files = manifest.participants.flatMap(({ identity, name, files: theirs }) =>
    theirs.map((file) => ({ identity, name, ...file })),
  );
  expect(files.map(({ file }) => file).sort()).toEqual([
    'ANNA-anna-1.webm',
    'ANNA-anna-2.webm',
    'BEN-ben-1.mkv',
    'CARL-carl-1.webm',
  ]);
  const seen = new Map<string, Awaited<ReturnType<typeof look>>>();
  for (const { file, identity, offsetMs, durationMs, startedAt } of files) {
    expect(new Date(startedAt).getTime() - new Date(manifest.startedAt as string).getTime()).toBe(offsetMs);
    expect(durationMs).toBeGreaterThan(1_000);
    if (identity === 'carl') {
      expect(heardTone(await readSound(path(file)), tones)).toBe(carl.tone);
      continue;
    }
    const person = identity === 'anna' ? anna : ben;
    const media = await look(path(file));
    seen.set(file, media);
    expect(media).toMatchObject({ tone: person.tone, colour: person.colour });
    expectTogether(readBeepsAndFlashes(media.frames, media.sound));
  }
  // Both were sent by one clock: who flashes at the same time did so at the same time.
  const [ofAnna = [], ofBen = []] = ['ANNA-anna-1.webm', 'BEN-ben-1.mkv'].map((name) => {
    const { offsetMs = 0 } = files.find(({ file }) => file === name) ?? {};
    const frames = seen.get(name)?.frames ?? [];
    const begins = frames.filter(({ flash }, index) => flash && frames[index - 1]?.flash === false);
    return begins.map(({ ptsMs }) => ptsMs + offsetMs);
  });
  const apart = ofAnna.map((at) => Math.min(...ofBen.map((other) => Math.abs(at - other)))).filter((ms) => ms < 400);
  expect(apart.length).toBeGreaterThan(2);
  expect(median(apart)).toBeLessThan(40);
});

describe('a track goes on', () => {
  test('in the next file, in its place, when the program that writes it is killed, and the page is recorded all the same', async () => {
    const roomId = randomUUID();
    await publish(roomId, [anna]);
    const host = await hostOnRoom(roomId);
    await recorded(host, ['anna']);
    const writer = host.children('ffmpeg').find((pid) => commandLine(pid).includes(trackFile(1)));
    process.kill(writer as number, 'SIGKILL');
    await expect.poll(() => tracksOf(host), patience).toHaveLength(2);
    await recorded(host, ['anna']);
    await stopped(host);
    expect(tracksOf(host)).toMatchObject([{ cause: 'WRITER_DIED' }, { cause: 'STOPPED' }]);
    expect(host.manifest().filter(({ type }) => type === 'part-started')).toHaveLength(1);
    const { manifest, path } = await delivered(host);
    const [first, second] = manifest.participants[0]?.files ?? [];
    // What is missing is what was in the writer's hands.
    expect((second?.offsetMs ?? 0) - ((first?.offsetMs ?? 0) + (first?.durationMs ?? 0))).toBeLessThan(8_000);
    for (const file of [first, second]) expect((await look(path(file?.file as string))).tone).toBe(anna.tone);
  });

  test('in the same file when it was muted, in its right place', async () => {
    const roomId = randomUUID();
    const people = await publish(roomId, [anna]);
    const host = await hostOnRoom(roomId);
    await recorded(host, ['anna'], 2_000);
    const [mediaId] = people.mediaIds as [string];
    expect(await server.mute(roomId, mediaId, '1', true)).toBe(true);
    await sleep(2_500);
    expect(await server.mute(roomId, mediaId, '1', false)).toBe(true);
    await sleep(6_000);
    await stopped(host);
    expect(tracksOf(host)).toMatchObject([{ cause: 'STOPPED' }]);
    const { manifest, path } = await delivered(host);
    const { frames, sound } = await look(path(manifest.participants[0]?.files[0]?.file as string));
    const steps = frames.slice(1).map(({ ptsMs }, index) => ptsMs - (frames[index]?.ptsMs ?? 0));
    expect(Math.max(...steps)).toBeGreaterThan(2_000);
    const lags = readBeepsAndFlashes(frames, sound);
    expect(lags.length).toBeGreaterThan(3);
    expectTogether(lags);
  });

  test('in other files after a pause, which is in none', async () => {
    const roomId = randomUUID();
    await publish(roomId, [anna, carl]);
    const host = await hostOnRoom(roomId);
    await recorded(host, ['anna', 'carl']);
    await sendCommand(host.identity, { command: 'pause' });
    await recorded(host, [], Number.NEGATIVE_INFINITY);
    await host.phase('PAUSED');
    await sendCommand(host.identity, { command: 'record' });
    await recorded(host, ['anna', 'carl']);
    await stopped(host);
    expect(
      tracksOf(host)
        .map(({ identity, cause }) => `${identity} ${cause}`)
        .sort(),
    ).toEqual(['anna PAUSED', 'anna STOPPED', 'carl PAUSED', 'carl STOPPED']);
  });

  test('when the media server was lost and people are back, while the page is recorded on', async () => {
    const roomId = randomUUID();
    const people = await publish(roomId, [anna]);
    const host = await hostOnRoom(roomId);
    await recorded(host, ['anna']);
    await own.kill();
    await people.kill();
    await expect.poll(() => tracksOf(host)[0]?.cause, patience).toBe('MEDIA_SERVER_LOST');
    server = await own.connect();
    await publish(roomId, [anna]);
    await recorded(host, ['anna']);
    await stopped(host);
    expect(host.manifest().filter(({ type }) => type === 'part-started')).toHaveLength(1);
    const { manifest } = await delivered(host);
    expect(manifest.participants[0]?.files.map(({ endCause }) => endCause)).toEqual(['MEDIA_SERVER_LOST', 'STOPPED']);
  });
});

test('a room without a media server is recorded as a page, with a warning', async () => {
  vi.stubEnv('JANUS_URL', 'ws://127.0.0.1:9');
  try {
    const host = await hostOnRoom(randomUUID());
    await host.warning('TRACKS_LOST', true);
    await host.recordedFor(1_000);
    await stopped(host);
  } finally {
    vi.stubEnv('JANUS_URL', own.address.url);
  }
});

const median = (values: number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const commandLine = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, 'latin1');

import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { appendFile, copyFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { hostFiles, type ManifestEntry, type TrackOrigin, trackFile } from '../../src/jobs/capture.js';
import { createLocalStorage } from '../../src/storage/local.js';
import { connectS3 } from '../../src/storage/s3-connection.js';
import { createS3PartStore } from '../../src/storage/s3-parts.js';
import { finalizeJob, removeParts } from '../../worker/finalize/finalize.js';
import { findRecorded } from '../../worker/finalize/recorded.js';
import { joiningBytes } from '../../worker/parts/room.js';
import { fetchShippedParts, removeShippedParts } from '../../worker/shipping/fetch.js';
import { startShipper } from '../../worker/shipping/shipper.js';
import { cardInputs } from '../testkit/media-card.js';
import { mediaTools, smallCard, temporaryFolder, writeKilledPart, writePart } from '../testkit/media-parts.js';
import { startS3 } from '../testkit/s3.js';
import { unpackTar } from '../testkit/tar.js';

const recordedAt = Date.UTC(2026, 0, 31, 23, 59, 58);
let sources: string;
let root: string;
let jobFolder: string;
let storageFolder: string;

beforeAll(async () => {
  sources = await temporaryFolder();
  const vp8 = '-c:v libvpx -deadline realtime -cpu-used 8 -b:v 300k -pix_fmt yuv420p -c:a libopus'.split(' ');
  const card = [...cardInputs(smallCard), '-t', '2', ...vp8, join(sources, 'vp8.mkv')];
  const voice = ['-f', 'lavfi', '-i', 'sine', '-t', '1', '-c:a', 'libopus', join(sources, 'voice.mkv')];
  await Promise.all([
    ...[card, voice].map((args) => promisify(execFile)('ffmpeg', ['-v', 'error', ...args])),
    writePart(join(sources, 'part.mkv'), 3),
    writeKilledPart(join(sources, 'killed.mkv'), 2),
  ]);
}, 60_000);
beforeEach(async () => {
  root = await temporaryFolder();
  jobFolder = join(root, 'job');
  storageFolder = join(root, 'storage');
});
afterEach(() => rm(root, { recursive: true, force: true }));
afterAll(() => rm(sources, { recursive: true }));

const finalize = (individual = false) =>
  finalizeJob({
    ...{ jobFolder, jobId: 'job-1', name: 'Stand-up', individual, tools: mediaTools },
    storage: createLocalStorage(storageFolder),
  });

const say = (incarnation: number, ...entries: ManifestEntry[]) =>
  appendFile(
    join(jobFolder, `i${incarnation}`, hostFiles.manifest),
    entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''),
  );

async function addPart(incarnation: number, at: number): Promise<void> {
  mkdirSync(join(jobFolder, `i${incarnation}`), { recursive: true });
  await copyFile(join(sources, 'part.mkv'), join(jobFolder, `i${incarnation}`, 'p1.mkv'));
  await say(
    incarnation,
    { type: 'first-frame', part: 1, at },
    { type: 'part-ended', part: 1, at: at + 3_000, durationMs: 3_000, bytes: 1, cause: 'BROWSER_DIED' },
  );
}

const person = (name: string, identity: string, codecs = ['opus', 'vp8']): TrackOrigin => ({
  ...{ id: `b.${identity}.0123456789ab`, identity, name },
  tracks: codecs.map((codec) => ({ kind: codec === 'opus' ? 'AUDIO' : 'VIDEO', codec, source: null })),
});

async function addTrack(incarnation: number, track: number, source: string, origin: TrackOrigin, at: number) {
  const file = join(jobFolder, `i${incarnation}`, trackFile(track));
  await copyFile(join(sources, source), file);
  await say(
    incarnation,
    { type: 'track-started', track, at: at - 500, origin },
    { type: 'track-first-media', track, at },
  );
  return file;
}

const ended = (track: number, bytes = 1): ManifestEntry => ({
  type: 'track-ended',
  track,
  at: 0,
  bytes,
  cause: 'LEFT',
});
const stored = () =>
  existsSync(storageFolder)
    ? readdirSync(storageFolder, { recursive: true, withFileTypes: true }).filter((each) => each.isFile()).length
    : 0;

async function unpacked(files: Awaited<ReturnType<typeof finalize>>['files']) {
  const tar = files.find(({ kind }) => kind === 'TAR');
  expect(statSync(join(storageFolder, tar?.storageKey as string)).size).toBe(tar?.sizeBytes);
  return unpackTar(join(storageFolder, tar?.storageKey as string), join(root, 'unpacked'));
}

describe('the tar of an individual recording', () => {
  test('has each file once, under a safe name, with its place on one clock, over the gaps of the page', async () => {
    await addPart(1, recordedAt);
    await addPart(2, recordedAt + 10_000);
    await addTrack(1, 1, 'vp8.mkv', person('../Ännä & Söhne', 'anna'), recordedAt + 1_500);
    await say(1, ended(1));
    await addTrack(1, 2, 'voice.mkv', person('anna', 'ANNA', ['opus']), recordedAt + 2_000);
    await addTrack(2, 1, 'killed.mkv', person('../Ännä & Söhne', 'anna', ['opus', 'h264']), recordedAt + 11_000);
    const strange = person('Film', 'film');
    await say(2, { type: 'track-refused', at: recordedAt, origin: strange, reason: 'Not handed out.' });

    const { manifest, names } = await unpacked((await finalize()).files);
    expect(names).toEqual([
      'composed.mp4',
      'Anna-Sohne-anna-1.webm',
      'anna-ANNA-1.webm',
      'Anna-Sohne-anna-2.mkv',
      'manifest.json',
    ]);
    // The sound encoder begins one block of 21 ms before the first picture.
    const zero = recordedAt + 21;
    expect(manifest).toMatchObject({
      ...{ jobId: 'job-1', startedAt: new Date(zero).toISOString() },
      composed: [
        {
          durationMs: 6_000,
          parts: [
            { positionMs: 0, offsetMs: 0, durationMs: 3_000 },
            { positionMs: 3_000, offsetMs: 10_000, durationMs: 3_000 },
          ],
        },
      ],
      gaps: [{ offsetMs: 3_000, durationMs: 7_000, cause: 'BROWSER_DIED' }],
      notRecorded: [{ identity: 'film', name: 'Film', reason: 'Not handed out.' }],
      participants: [
        {
          identity: 'anna',
          files: [{ endCause: 'LEFT', tracks: [{ codec: 'opus' }, { codec: 'vp8' }] }, { endCause: 'HOST_DIED' }],
        },
        { identity: 'ANNA', files: [{ tracks: [{ kind: 'AUDIO', codec: 'opus' }] }] },
      ],
    });
    const offsets = manifest.participants.flatMap(({ files }) => files.map(({ offsetMs }) => offsetMs));
    for (const [index, wanted] of [1_479, 10_979, 1_979].entries()) {
      // Opus begins up to 20 ms before what it was given.
      expect(Math.abs((offsets[index] ?? 0) - wanted)).toBeLessThan(40);
    }
    expect(manifest.participants[0]?.files[0]?.durationMs).toBeGreaterThan(1_900);
  });

  test('is made again only when there is more, and its tracks go with the parts', async () => {
    await addPart(1, recordedAt);
    await addTrack(1, 1, 'vp8.mkv', person('Anna', 'anna'), recordedAt);
    const first = await finalize();
    expect(await finalize()).toEqual(first);
    expect(stored()).toBe(3);
    await addTrack(1, 2, 'voice.mkv', person('Ben', 'ben', ['opus']), recordedAt);
    const second = await finalize();
    expect(second.tracks).toHaveLength(2);
    await removeParts(jobFolder);
    expect(readdirSync(join(jobFolder, 'i1'))).toEqual([hostFiles.manifest]);
    expect(await finalize()).toEqual(second);
  });

  test('names a track that nobody can read, which stays, and one in which nothing was recorded', async () => {
    await addPart(1, recordedAt);
    const broken = await addTrack(1, 1, 'voice.mkv', person('Anna', 'anna'), recordedAt);
    await writeFile(broken, Buffer.alloc(20_000, 'no media'));
    const empty = await addTrack(1, 2, 'voice.mkv', person('Ben', 'ben'), recordedAt);
    await writeFile(empty, '');
    const { files, tracks } = await finalize();
    expect(tracks).toMatchObject([{ number: 1, unreadable: true }, { number: 2 }]);
    const { manifest, names } = await unpacked(files);
    expect(names).toEqual(['composed.mp4', 'manifest.json']);
    expect(manifest.notRecorded).toMatchObject([
      { identity: 'anna', reason: expect.stringContaining('Invalid data') },
      { identity: 'ben', reason: expect.stringContaining('0 bytes') },
    ]);
    await removeParts(jobFolder);
    expect(readdirSync(join(jobFolder, 'i1'))).toEqual([hostFiles.manifest, trackFile(1)]);
  });

  test('is made where nobody came, when it was asked for, and only then', async () => {
    await addPart(1, recordedAt);
    expect((await finalize()).files.map(({ kind }) => kind)).toEqual(['VIDEO', 'THUMBNAIL']);
    await rm(join(jobFolder, 'finalized.json'));
    const { manifest, names } = await unpacked((await finalize(true)).files);
    expect(names).toEqual(['composed.mp4', 'manifest.json']);
    expect(manifest.participants).toEqual([]);
  });

  test('takes room that is counted before there is none', () => {
    expect(joiningBytes({ bytes: 100, trackBytes: 0 })).toBe(100);
    expect(joiningBytes({ bytes: 100, trackBytes: 30 })).toBe(260);
    const alone = { bytes: 100, trackBytes: 0 };
    expect(joiningBytes(alone, { hasAudio: false })).toBe(200);
    expect(joiningBytes(alone, { renditions: true })).toBe(300);
    expect(joiningBytes(alone, { keep: false, renditions: true })).toBe(0);
  });
});

test('tracks of a machine that is lost come back from the storage to the byte, and their machine is the cause of their end', async () => {
  const s3 = await startS3({ folder: join(root, 's3') });
  try {
    const store = createS3PartStore(connectS3(s3.settings, { idleLimitMs: 5_000, attempts: 2 }));
    await addPart(1, recordedAt);
    const whole = await addTrack(1, 1, 'vp8.mkv', person('Anna', 'anna'), recordedAt);
    await say(1, ended(1, statSync(whole).size));
    await addTrack(1, 2, 'voice.mkv', person('Ben', 'ben', ['opus']), recordedAt);
    await say(1, ended(2, 10_000_000));
    const notes: string[] = [];
    const shipping = { store, folder: join(jobFolder, 'i1'), jobId: 'job-1', incarnation: 1 };
    await startShipper({ ...shipping, note: (text) => notes.push(text) }).close();
    expect(notes).toEqual([]);

    const before = await findRecorded(jobFolder);
    await rm(jobFolder, { recursive: true });
    expect(await fetchShippedParts({ store, jobFolder, jobId: 'job-1', diskReserveBytes: 0 })).toEqual({ fetched: 3 });
    const { tracks } = await findRecorded(jobFolder);
    expect(tracks.map(({ bytes }) => bytes)).toEqual(before.tracks.map(({ bytes }) => bytes));
    const { manifest } = await unpacked((await finalize()).files);
    expect(manifest.participants.map(({ identity, files }) => [identity, files[0]?.endCause])).toEqual([
      ['anna', 'LEFT'],
      ['ben', 'MACHINE_LOST'],
    ]);
    await removeShippedParts(store, 'job-1');
    expect(await store.list('job-1/')).toEqual([]);
  } finally {
    await s3.stop();
  }
});

/** A full room on a small machine: what cannot be shown in time is left out and told of; no file is broken by it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { connectMediaServer } from '../../src/media/connect.js';
import type { MediaServer } from '../../src/media/media-server.js';
import { probe } from '../../worker/ffmpeg/probe.js';
import { api } from '../testkit/api.js';
import { type ArchiveKit, createArchiveKit } from '../testkit/archives.js';
import { expectPlayable } from '../testkit/media.js';
import { readSound } from '../testkit/media-read.js';
import { gridPlaces, isHue, readHue } from '../testkit/people-read.js';
import { ensuredRoom } from '../testkit/room-tokens.js';
import { colourOf, heardTone, publishPeople, type RtpPeople } from '../testkit/rtp-people.js';
import { unpackTar } from '../testkit/tar.js';

const stack = inject('stack');
const folder = mkdtempSync(join(tmpdir(), 'tapedeck-crowded-'));
const looks = [
  { colour: 'red', hue: 0, tone: 437 },
  { colour: 'lime', hue: 120, tone: 700 },
  { colour: 'blue', hue: 240, tone: 1_100 },
] as const;
const tones = looks.map(({ tone }) => tone);
const people = [...Array(16).keys()].map((index) => ({
  identity: `person-${String(index).padStart(2, '0')}`,
  ...(looks[index % looks.length] as (typeof looks)[number]),
}));
const size = { width: 640, height: 360 };

let kit: ArchiveKit;
let server: MediaServer;
let present: RtpPeople | undefined;
beforeAll(async () => {
  kit = createArchiveKit(stack);
  server = await connectMediaServer(stack.mediaServer, { log: pino({ level: 'silent' }) });
});
afterAll(async () => {
  await present?.kill();
  await server.close();
  await kit.close();
  rmSync(folder, { recursive: true, force: true });
});

test('sixteen people are all seen in the recording of their room, and each has a whole file of their own', async () => {
  const { id, roomId } = await ensuredRoom(api(stack.apiKey), `crowded ${crypto.randomUUID()}`);
  present = await publishPeople(
    server,
    roomId,
    people.map(({ identity, colour, tone }) => ({ identity, colour, tone })),
  );
  const archive = await kit.start({
    ...{ url: undefined, roomId: id, ...size, maxDuration: 120, individualStreamRecord: true },
  });
  await archive.recordedFor(12_000);
  await archive.stop();
  const { duration } = await archive.until('COMPLETE');
  const { manifest, path } = await unpackTar(await archive.download(folder), join(folder, 'unpacked'));

  const file = path(manifest.composed[0]?.file as string);
  await expectPlayable(file, { ...size, durationMs: (duration as number) * 1000 });
  const seen = gridPlaces(people.length, size).map(async (tile, index) => {
    // The upper half of a card has its colour.
    const hue = await readHue(file, { ...tile, height: tile.height * 0.6 }, 10);
    return isHue(hue, people[index]?.hue as number);
  });
  expect((await Promise.all(seen)).filter(Boolean)).toHaveLength(people.length);

  expect(manifest.participants.map(({ identity }) => identity).sort()).toEqual(people.map(({ identity }) => identity));
  for (const { identity, files } of manifest.participants) {
    const own = path(files.at(-1)?.file as string);
    const person = people.find((each) => each.identity === identity);
    const { durationMs } = await probe(own, { ffprobe: 'ffprobe' });
    expect(durationMs, identity).toBeGreaterThan(6_000);
    expect([await colourOf(own), heardTone(await readSound(own), tones)]).toEqual([person?.colour, person?.tone]);
  }
}, 240_000);

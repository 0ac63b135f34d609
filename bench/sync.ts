/** How far sound and picture are apart in the recordings of a room, and whether they drift, against what the room was sent. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readFrames, readOffsets, readSound } from '../test/testkit/media-read.js';
import { median } from '../test/testkit/media-report.js';
import type { Area } from '../test/testkit/people-read.js';
import { filmOf, type RtpPerson } from '../test/testkit/rtp-people.js';
import { unpackTar } from '../test/testkit/tar.js';
import { startRecording, stopRecording } from './first-frame.js';
import { type BenchResult, table } from './result.js';
import { openRoomBed } from './room-bed.js';

/** Milliseconds that sound and picture may be apart. */
const highestOffsetMs = { page: 100, track: 40 };
const highestDriftMsPerHour = 60;
// One person, who has all of the page's picture: what is in the recording is this film, larger.
const filmSize = { width: 640, height: 360 };
const person: RtpPerson = { identity: 'ann', colour: 'red', tone: 437, size: filmSize };
const pageSize = { width: 1280, height: 720 };
/** Fewer offsets than this say nothing. */
const fewestOffsets = 8;

interface Sync {
  offsets: number;
  medianMs: number;
  driftMsPerHour: number;
  /** Standard error of the drift. */
  driftErrorMsPerHour: number;
}

/** About 12 minutes for 10 minutes recorded; less than 50 s for 12 s when quick, which is too short to tell a drift. */
export async function benchSync(quick: boolean): Promise<BenchResult> {
  const recordMs = quick ? 12_000 : 600_000;
  const sent = await readSync(await filmOf(person));
  const bed = await openRoomBed([person]);
  let hasFailed = true;
  let page: Sync;
  let track: Sync;
  try {
    const { archive } = await startRecording(bed.kit, {
      ...{ url: undefined, roomId: bed.roomId, maxDuration: recordMs / 1000 + 600 },
      ...{ ...pageSize, individualStreamRecord: true },
    });
    await sleep(recordMs);
    await stopRecording(archive);
    const tar = await archive.download(bed.stack.dataDir);
    const { manifest, path } = await unpackTar(tar, join(bed.stack.dataDir, 'recording'));
    const [composed] = manifest.composed;
    const [file] = manifest.participants[0]?.files ?? [];
    if (!composed || !file) throw new Error('The recording lacks the page or the person.');
    page = await readSync(path(composed.file), { ...pageSize, x: 0, y: 0 });
    track = await readSync(path(file.file));
    hasFailed = false;
  } finally {
    await bed.close(hasFailed);
  }
  const rows = { 'as it was sent': sent, 'recorded page': page, 'recorded person': track };
  console.log(
    `\n${table(
      ['sound after picture', 'seconds', 'median ms', 'drift ms/h', 'standard error'],
      Object.entries(rows).map(([name, { offsets, medianMs, driftMsPerHour, driftErrorMsPerHour }]) => [
        ...[name, offsets, medianMs.toFixed(0)],
        ...[driftMsPerHour.toFixed(0), driftErrorMsPerHour.toFixed(0)],
      ]),
    )}`,
  );
  // What is not surely more than allowed is good: in 12 s hardly anything is sure.
  const drifts = [page, track].map((each) => Math.abs(each.driftMsPerHour) - 2 * each.driftErrorMsPerHour);
  const isTogether =
    Math.abs(page.medianMs) <= highestOffsetMs.page && Math.abs(track.medianMs) <= highestOffsetMs.track;
  return {
    ...{ name: 'sync', value: page.medianMs, unit: 'ms', floor: sent.medianMs, ratio: null, goal: null },
    ok: isTogether && Math.max(...drifts) <= highestDriftMsPerHour,
    details: { sent, page, track, highestOffsetMs, highestDriftMsPerHour, recordMs },
  };
}

/** Of a recording of the person's card, which fills `area` of its picture, all of it unless told. Throws when it can hardly be read. */
async function readSync(file: string, area?: Area): Promise<Sync> {
  const frames = await readFrames(file, filmSize, area);
  const points = readOffsets(frames, await readSound(file));
  if (points.length < fewestOffsets) throw new Error(`Only ${points.length} flashes with their beeps are in ${file}.`);
  const slope = fitSlope(points.map(({ atMs, offsetMs }) => ({ x: atMs / 3_600_000, y: offsetMs })));
  return {
    offsets: points.length,
    medianMs: median(points.map(({ offsetMs }) => offsetMs)) as number,
    driftMsPerHour: slope.value,
    driftErrorMsPerHour: slope.error,
  };
}

/** The slope of the straight line that is nearest to the points, and its standard error. */
function fitSlope(points: readonly { x: number; y: number }[]): { value: number; error: number } {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x0, y0] = [mean(points.map(({ x }) => x)), mean(points.map(({ y }) => y))];
  const spreadOfX = points.reduce((sum, { x }) => sum + (x - x0) ** 2, 0);
  const value = points.reduce((sum, { x, y }) => sum + (x - x0) * (y - y0), 0) / spreadOfX;
  const residuals = points.reduce((sum, { x, y }) => sum + (y - y0 - value * (x - x0)) ** 2, 0);
  return { value, error: Math.sqrt(residuals / (points.length - 2) / spreadOfX) };
}

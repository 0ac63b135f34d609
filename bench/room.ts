/** What the archive of a room with three people costs, and how soon it begins, against the bare pipeline on the same viewer page. */
import { join } from 'node:path';
import { flashesIn, readFrames } from '../test/testkit/media-read.js';
import { gridPlaces } from '../test/testkit/people-read.js';
import type { RtpPerson } from '../test/testkit/rtp-people.js';
import { probe } from '../worker/ffmpeg/probe.js';
import { findHost } from '../worker/host/client.js';
import { incarnationFolder } from '../worker/host/folders.js';
import { type Recipe, readRecipe, startBarePipeline } from './bare-pipeline.js';
import { startRecording, stopRecording } from './first-frame.js';
import { type BenchResult, noiseNote, percentile, spread, table } from './result.js';
import { openRoomBed, type RoomBed } from './room-bed.js';
import { measureUsage, type Usage } from './usage.js';

// The same as for any other page: the host, its watch and its gate cost what they cost.
const highestRatio = 1.15;
const size = { width: 1280, height: 720 };
const personSize = { width: 640, height: 360 };
const people: RtpPerson[] = [
  { identity: 'ann', colour: 'red', tone: 437, size: personSize },
  { identity: 'ben', colour: 'blue', tone: 700, size: personSize },
  { identity: 'cat', colour: 'lime', tone: 1_100, size: personSize },
];
// The page joins the room and sees everybody within a second.
const settleMs = 2_000;

/** About 4 minutes; less than 50 s when quick, which is good for a rough number only. */
export async function benchRoom(quick: boolean): Promise<BenchResult> {
  const starts = quick ? 1 : 10;
  const rounds = quick ? 1 : 3;
  const windowMs = quick ? 3_000 : 15_000;
  const startsMs: number[] = [];
  const ours: Usage[] = [];
  const bare: Usage[] = [];
  const seen = { ours: 0, bare: 0 };
  const bed = await openRoomBed(people);
  let hasFailed = true;
  try {
    for (let n = rounds; n < starts; n++) {
      const { archive, tookMs } = await startRecording(bed.kit, { ...size, url: undefined, roomId: bed.roomId });
      startsMs.push(tookMs);
      await stopRecording(archive);
    }
    for (let round = 1; round <= rounds; round++) {
      const us = await measureOurs(bed, windowMs);
      startsMs.push(us.tookMs);
      ours.push(us.usage);
      seen.ours = us.flashes;
      const them = await measureBare(bed, us.recipe, windowMs);
      bare.push(them.usage);
      seen.bare = them.flashes;
      console.log(
        `round ${round} of ${rounds}: ours ${us.usage.cores.toFixed(3)}, bare ${them.usage.cores.toFixed(3)} cores`,
      );
    }
    hasFailed = false;
  } finally {
    await bed.close(hasFailed);
  }
  const [us, them] = [spread(ours.map(({ cores }) => cores)), spread(bare.map(({ cores }) => cores))];
  const row = (name: string, { median, min, max }: typeof us) => [
    name,
    ...[median, min, max].map((cores) => cores.toFixed(3)),
  ];
  console.log(
    `\n${table(['cores a recorded second', 'median', 'lowest', 'highest'], [row('recorder host', us), row('bare pipeline', them)])}`,
  );
  const [p50, p95] = [percentile(startsMs, 0.5), percentile(startsMs, 0.95)];
  console.log(`request to first frame: p50 ${p50.toFixed(0)} ms, p95 ${p95.toFixed(0)} ms of ${startsMs.length}`);
  // The people's flashes, one a second each: that what was measured is a room with people.
  const everybodySeen = Object.values(seen).every((flashes) => flashes >= people.length);
  if (!everybodySeen) console.log(`Not everybody was seen: ${JSON.stringify(seen)} flashes.`);
  const othersCores = Math.max(...[...ours, ...bare].map(({ others }) => others));
  const noise = noiseNote(othersCores);
  if (noise) console.log(noise);
  const ratio = us.median / them.median;
  return {
    ...{ name: 'room', value: us.median, unit: 'cores', floor: them.median, ratio, goal: highestRatio },
    ok: ratio <= highestRatio && everybodySeen,
    details: { firstFrameP50: p50, firstFrameP95: p95, starts: startsMs.length, flashes: seen, othersCores },
  };
}

async function measureOurs(bed: RoomBed, windowMs: number) {
  const { archive, tookMs } = await startRecording(bed.kit, { ...size, url: undefined, roomId: bed.roomId });
  const folder = incarnationFolder(join(bed.stack.dataDir, 'jobs', archive.jobId), 1);
  const identity = findHost(folder);
  if (!identity) throw new Error('The archive has no recorder host.');
  const recipe = readRecipe({ identity, folder });
  const usage = await measureUsage([identity.pid], windowMs, settleMs);
  await stopRecording(archive);
  return { tookMs, recipe, usage, flashes: await countFlashes(await archive.download(bed.stack.dataDir)) };
}

async function measureBare(bed: RoomBed, recipe: Recipe, windowMs: number) {
  const pipeline = await startBarePipeline(recipe, await bed.viewerUrl());
  try {
    const usage = await measureUsage(pipeline.pids, windowMs, settleMs);
    await pipeline.stop();
    return { usage, flashes: await countFlashes(pipeline.part) };
  } finally {
    await pipeline.stop();
    await pipeline.remove();
  }
}

/** How many flashes the pictures show, of all people together. */
async function countFlashes(file: string): Promise<number> {
  if (!(await probe(file, { ffprobe: 'ffprobe' })).video) return 0;
  const seen = await Promise.all(gridPlaces(people.length, size).map((place) => readFrames(file, personSize, place)));
  return seen.reduce((sum, frames) => sum + flashesIn(frames).length, 0);
}

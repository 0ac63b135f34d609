/** How many live streams this machine records without losing a picture: ours, and ffmpeg by hand. */
import type { ChildProcess } from 'node:child_process';
import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '../src/config.js';
import { freePort } from '../stack/ports.js';
import { hasBegun, type RunningHost, recordStream } from './recorder-host.js';
import {
  isListening,
  masterIn,
  picturesPerSecond,
  srtRecording,
  startBareRecorder,
  startSender,
} from './stream-bed.js';

const lowestShare = 0.9;
const windowMs = 15_000;
/** Of what the cores would hold if more streams took no more each. */
const nearShare = 0.9;
/** So many more each time, until some lose pictures. */
const step = 10;
// Pictures that are in the encoder's hands when it is stopped.
const openPictures = 30;
// Longer than it takes to start and to look at as many as there may be.
const masterSeconds = 150;

export interface CapacityResult {
  ours: number;
  bare: number;
  ok: boolean;
}

/** Tries ffmpeg with ever more streams, and then ours with nine tenths as many. `bareCores`: what one takes, to begin near. */
export async function holdsAsMany(folder: string, bareCores: number): Promise<CapacityResult> {
  const master = masterIn(folder, masterSeconds);
  // A sender takes about as much again.
  let bare = Math.max(step, Math.floor((nearShare * cpus().length) / (2 * bareCores) / step) * step);
  while (await holds(bare + step, folder, master, 'bare')) bare += step;
  while (bare > step && !(await holds(bare, folder, master, 'bare'))) bare -= step;
  let ours = Math.ceil(bare * lowestShare);
  const ok = await holds(ours, folder, master, 'ours');
  while (!ok && ours > step && !(await holds(ours - step, folder, master, 'ours'))) ours -= step;
  console.log(
    `${ours} streams at once${ok ? ', and maybe more' : ''}; ffmpeg by hand ${bare}: ${ok ? 'good' : 'missed'}`,
  );
  return { ours: ok ? ours : ours - step, bare, ok };
}

const whose = (by: 'ours' | 'bare') => (by === 'ours' ? 'by us' : 'by hand');

/** Whether so many streams at once are recorded without a gap. */
async function holds(count: number, folder: string, master: string, by: 'ours' | 'bare'): Promise<boolean> {
  const recorders: (RunningHost | ChildProcess)[] = [];
  const senders: ChildProcess[] = [];
  const files: string[] = [];
  try {
    for (let index = 0; index < count; index++) {
      const port = await freePort();
      const file = join(folder, `hold-${index}.mkv`);
      if (by === 'ours') {
        const host = await recordStream(srtRecording(port, false));
        recorders.push(host);
        files.push(host.part);
      } else {
        recorders.push(startBareRecorder(port, file));
        files.push(file);
      }
      if (!(await isListening(port))) {
        console.log(`${count} streams ${whose(by)}: the ${index + 1}. did not begin to listen`);
        return false;
      }
      senders.push(startSender(master, port));
    }
    await Promise.all(recorders.map((each) => ('folder' in each ? hasBegun(each) : null)));
    await sleep(windowMs);
    for (const each of recorders) if (!('folder' in each)) each.kill('SIGINT');
    await Promise.all(recorders.map((each) => ('folder' in each ? each.stop() : null)));
    await sleep(1_000);
    const lost = files.filter(hasGap).length;
    console.log(`${count} streams ${whose(by)}: ${lost} with missing pictures`);
    return lost === 0;
  } finally {
    for (const each of senders) each.kill('SIGKILL');
    for (const each of recorders) if (!('folder' in each)) each.kill('SIGKILL');
    await Promise.all(recorders.map((each) => ('folder' in each ? each.remove() : null)));
  }
}

/** Whether pictures are missing between the first and the last, or all of them. */
function hasGap(file: string): boolean {
  const times = picturesOf(file).slice(0, -openPictures);
  if (times.length < picturesPerSecond) return true;
  return times.some((time, index) => index > 0 && time - (times[index - 1] as number) > 1.5 / picturesPerSecond);
}

/** When each is shown, seconds; none of a recorder that did not even come to begin. */
function picturesOf(file: string): number[] {
  const entries = '-v error -select_streams v -show_entries packet=pts_time -of csv=p=0'.split(' ');
  const { stdout } = spawnSync(loadConfig().recorder.ffprobe, [...entries, file], { maxBuffer: 1 << 26 });
  const times = stdout.toString('utf8').trim().split('\n').map(Number.parseFloat);
  return times.filter(Number.isFinite).sort((a, b) => a - b);
}

/** Cores used a participant whose streams are recorded one by one, against ffmpeg that copies the same packets by itself. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { loadConfig, strangerEnvironment } from '../src/config.js';
import { type Child, startChild as startProgram } from '../worker/capture/child.js';
import { areListening, findPortPair } from '../worker/tracks/ports.js';
import { describeSession } from '../worker/tracks/session-description.js';
import { startChild } from './child.js';
import { until } from './recorder-host.js';
import { type BenchResult, noiseNote, spread, table } from './result.js';
import type { Destination, TracksHost } from './tracks-host.js';
import { measureUsage } from './usage.js';

// What a participant may cost beside the recording of the page, which takes 0.8 of a core: ten then fit beside it.
const mostCores = 0.05;
const participants = 4;
const settleMs = 2_000;
const startLimitMs = 20_000;

interface Ports {
  audio: Destination;
  video: Destination;
}

/** About 2 minutes; half of one when quick. */
export async function benchTracks(quick: boolean): Promise<BenchResult> {
  const rounds = quick ? 2 : 3;
  const windowMs = quick ? 5_000 : 15_000;
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-bench-'));
  const ours: number[] = [];
  const bare: number[] = [];
  let othersCores = 0;
  try {
    const film = await makeFilm(folder);
    for (let round = 1; round <= rounds; round++) {
      const us = await measureOurs(film, windowMs);
      const them = await measureBare(film, folder, windowMs);
      ours.push(us.cores / participants);
      bare.push(them.cores / participants);
      othersCores = Math.max(othersCores, us.others, them.others);
      console.log(
        `round ${round} of ${rounds}: ours ${ours.at(-1)?.toFixed(4)}, bare ${bare.at(-1)?.toFixed(4)} cores`,
      );
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const [us, them] = [spread(ours), spread(bare)];
  const row = (name: string, { median, min, max }: typeof us) => [
    name,
    ...[median, min, max].map((cores) => cores.toFixed(4)),
  ];
  console.log(
    `\n${table(['cores a participant', 'median', 'lowest', 'highest'], [row('relays and writers', us), row('ffmpeg alone', them)])}`,
  );
  const noise = noiseNote(othersCores);
  if (noise) console.log(noise);
  return {
    ...{
      name: 'tracks',
      value: us.median,
      unit: 'cores',
      floor: them.median,
      ratio: us.median / them.median,
      goal: null,
    },
    ok: us.median <= mostCores,
    details: { ours, bare, participants, mostCores, othersCores },
  };
}

/** As a camera at 640x360 and 15 pictures a second sends it, with sound: 0.5 Mbit/s. */
async function makeFilm(folder: string): Promise<string> {
  const film = join(folder, 'film.mkv');
  const inputs = ['-f', 'lavfi', '-i', 'testsrc2=s=640x360:r=15', '-f', 'lavfi', '-i', 'sine=440:r=48000'];
  const video = '-c:v libvpx -deadline realtime -cpu-used 8 -lag-in-frames 0 -b:v 450k -g 15 -pix_fmt yuv420p'.split(
    ' ',
  );
  const args = ['-v', 'error', ...inputs, '-t', '10', ...video, '-c:a', 'libopus', '-b:a', '48k', film];
  await promisify(execFile)(loadConfig().recorder.ffmpeg, args);
  return film;
}

/** One process, not measured, that sends the film to everybody. */
async function send(film: string, ports: readonly Ports[]): Promise<Child> {
  const outputs = ports.flatMap(({ audio, video }) => [...output('0:v', 96, video), ...output('0:a', 111, audio)]);
  const args = ['-nostdin', '-v', 'fatal', '-re', '-stream_loop', '-1', '-i', film, ...outputs];
  return run(args);
}

const output = (map: string, payloadType: number, { port, ssrc }: Destination): string[] =>
  `-map ${map} -c copy -payload_type ${payloadType} -ssrc ${ssrc} -f rtp rtp://127.0.0.1:${port}?pkt_size=1200`.split(
    ' ',
  );

const run = (args: string[]): Promise<Child> =>
  startProgram({
    ...{ command: loadConfig().recorder.ffmpeg, args, user: null },
    ...{ env: strangerEnvironment(), stdio: ['ignore', 'ignore', 'inherit'] },
  });

async function measureOurs(film: string, windowMs: number) {
  const host = startChild<TracksHost>('./tracks-host.ts');
  try {
    const ports = await host.ask('begin', participants);
    const sender = await send(film, ports);
    try {
      for (
        const endsAt = performance.now() + startLimitMs;
        (await host.ask('writing', undefined as never)) < participants;
      ) {
        if (performance.now() > endsAt) throw new Error('The participants were not recorded.');
        await sleep(100);
      }
      const usage = await measureUsage([host.pid], windowMs, settleMs);
      if ((await host.ask('end', undefined as never)) === 0) throw new Error('Nothing was recorded.');
      return usage;
    } finally {
      await sender.stop('SIGKILL', 0);
    }
  } finally {
    await host.end();
  }
}

async function measureBare(film: string, folder: string, windowMs: number) {
  const children: Child[] = [];
  const ports: Ports[] = [];
  try {
    for (let index = 0; index < participants; index++) {
      const [audio, video] = [await findPortPair(), await findPortPair()];
      ports.push({ audio: { port: audio, ssrc: 1 }, video: { port: video, ssrc: 2 } });
      const description = join(folder, `${index}.sdp`);
      writeFileSync(
        description,
        describeSession([
          { kind: 'AUDIO', codec: 'opus', port: audio },
          { kind: 'VIDEO', codec: 'vp8', port: video },
        ]),
      );
      const input = ['-protocol_whitelist', 'file,udp,rtp', '-localaddr', '127.0.0.1', '-i', description];
      const output = ['-map', '0', '-c', 'copy', '-f', 'matroska', '-y', join(folder, `${index}.mkv`)];
      children.push(await run(['-nostdin', '-v', 'fatal', ...input, ...output]));
    }
    await until(startLimitMs, () => areListening(ports.flatMap(({ audio, video }) => [audio.port, video.port])));
    children.push(await send(film, ports));
    const written = (index: number) => statSync(join(folder, `${index}.mkv`), { throwIfNoEntry: false })?.size ?? 0;
    const isWriting = await until(startLimitMs, () => ports.every((_, index) => written(index) > 0));
    if (!isWriting) throw new Error('ffmpeg alone recorded nothing.');
    return await measureUsage(
      children.slice(0, participants).map(({ pid }) => pid),
      windowMs,
      settleMs,
    );
  } finally {
    await Promise.all(children.map((child) => child.stop('SIGKILL', 0)));
  }
}

/** Live SRT streams for benchmarks: senders that cost next to nothing, and the ffmpeg that a person would record them with. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { loadConfig } from '../src/config.js';
import type { RecordingConfig } from '../src/recordings/config.js';
import { recordingOf } from '../test/testkit/recording-config.js';
import { openPipe } from '../worker/streams/pipe.js';
import { areListening } from '../worker/tracks/ports.js';
import { until } from './recorder-host.js';

/** Bits per second of each stream. */
export const streamRate = 2_000_000;
export const picturesPerSecond = 30;
const masterSeconds = 20;
const listenMs = 10_000;
/** As recorder hosts have: systems share out processors by sessions, and wake who is in the sender's own less often. */
const ownSession = { detached: true };

/**
 * A file of the streams' media, made if it is not there: encoded once, so that to send it costs no encoding. Where a sender begins
 * it again, a picture seems to be missing.
 */
export function masterIn(folder: string, seconds = masterSeconds): string {
  const file = join(folder, `master-${seconds}.ts`);
  if (existsSync(file)) return file;
  const rate = `${streamRate}`;
  const inputs = `-f lavfi -i testsrc2=s=640x360:r=${picturesPerSecond} -f lavfi -i sine=440:r=48000`;
  // Filled up to a constant rate: test pictures alone need less.
  const video = `-c:v libx264 -preset veryfast -b:v ${rate} -minrate ${rate} -maxrate ${rate} -bufsize ${rate} -g 60 -x264opts nal-hrd=cbr`;
  const args = `-nostdin -v error -y ${inputs} -t ${seconds} ${video} -pix_fmt yuv420p -c:a aac -b:a 128k -f mpegts`;
  execFileSync(loadConfig().recorder.ffmpeg, [...args.split(' '), file]);
  return file;
}

/** Sends the master again and again to a port of this machine. */
export function startSender(master: string, port: number): ChildProcess {
  const args = `-v error -re -stream_loop -1 -i ${master} -c copy -f mpegts`;
  return run([...args.split(' '), `srt://127.0.0.1:${port}?mode=caller&pkt_size=1316`]);
}

/** A sender that comes before its receiver listens gives up. False after 10 s. */
export const isListening = (port: number): Promise<boolean> => until(listenMs, () => areListening([port]));

/** The same; throws after 10 s. */
export async function listening(port: number): Promise<void> {
  if (!(await isListening(port))) throw new Error(`Nobody listens on port ${port}.`);
}

/** What a person would type to record a stream that is sent to a port, with files that survive a crash as ours do. */
export function startBareRecorder(port: number, file: string): ChildProcess {
  return run(bareArguments(`srt://127.0.0.1:${port}?mode=listener`, file));
}

/** The same for who wants to know how the link is, which ffmpeg does not tell: its figures go to a file beside. */
export async function startMeasuredRecorder(port: number, file: string): Promise<ChildProcess[]> {
  const { readEnd, writeEnd } = await openPipe(dirname(file));
  const figures = ['-q', '-s:100', '-pf:json', `-statsout:${file}.json`];
  const link = spawn('srt-live-transmit', [...figures, `srt://127.0.0.1:${port}?mode=listener`, 'file://con'], {
    ...ownSession,
    stdio: ['ignore', writeEnd, 'ignore'],
  });
  const recorder = run(bareArguments('pipe:0', file), readEnd);
  closeSync(readEnd);
  closeSync(writeEnd);
  return [link, recorder];
}

function bareArguments(input: string, file: string): string[] {
  const probing = '-analyzeduration 5000000 -probesize 10000000';
  const output = '-map 0:v:0 -map 0:a:0 -c copy -f matroska -cluster_time_limit 250 -flush_packets 1';
  return [...`-nostats -v warning -y ${probing} -f mpegts -i ${input} ${output}`.split(' '), file];
}

/** A recording as it comes, which is only copied. */
export const srtRecording = (listenPort: number, linkStats = true): RecordingConfig =>
  recordingOf({ input: { type: 'SRT_SERVER', listenPort, linkStats } });

function run(args: string[], stdin: number | 'ignore' = 'ignore'): ChildProcess {
  return spawn(loadConfig().recorder.ffmpeg, ['-nostdin', ...args], {
    ...ownSession,
    stdio: [stdin, 'ignore', 'ignore'],
  });
}

/** One ffmpeg that writes the packets of one participant to a file as they are. */
import { closeSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { strangerEnvironment } from '../../src/config.js';
import { trackFile } from '../../src/jobs/capture.js';
import { startChild } from '../capture/child.js';
import { areListening, findPortPair } from './ports.js';
import { type DescribedTrack, describeSession } from './session-description.js';

export interface TrackWriter {
  pid: number;
  /** Of RTP, one for each track, in the order given. */
  ports: number[];
  /** Resolves with how it ended, such as `SIGKILL`. */
  exited: Promise<string>;
  bytes(): number;
  /** The last lines it logged. */
  lastWords(): string;
  /** Lets it close its file, after its relays have said farewell; it is killed when that takes long. */
  stop(): Promise<void>;
  kill(): Promise<void>;
}

export interface WriterOptions {
  ffmpeg: string;
  /** Of the incarnation. */
  folder: string;
  /** Number of the file. */
  track: number;
  media: readonly Omit<DescribedTrack, 'port'>[];
}

// It listens after 50 ms; a machine with too much to do was seen to need seconds.
const listenLimitMs = 15_000;
const listenLookMs = 20;
const stopLimitMs = 5_000;
// It ends by itself when it has been told that no track goes on.
const farewellMs = 2_000;
// The first request is noticed with the next packet; the second at once, but costs what is not written yet.
const noticeMs = 1_000;

/** Resolves when it listens. Throws when it does not, with what it said. */
export async function startTrackWriter({ ffmpeg, folder, track, media }: WriterOptions): Promise<TrackWriter> {
  const described: DescribedTrack[] = [];
  for (const each of media) described.push({ ...each, port: await findPortPair() });
  const description = join(folder, `t${track}.sdp`);
  writeFileSync(description, describeSession(described));
  const file = join(folder, trackFile(track));
  const logFile = join(folder, `t${track}.log`);
  const log = openSync(logFile, 'a');
  const child = await startChild({
    command: ffmpeg,
    args: writerArguments(description, file),
    user: null,
    env: strangerEnvironment(),
    stdio: ['ignore', log, log],
  }).finally(() => closeSync(log));
  const exited = child.exited.then(({ code, signal }) => signal ?? `status ${code}`);
  let ended: string | null = null;
  void exited.then((how) => {
    ended = how;
  });
  const lastWords = () => readLog(logFile).trimEnd().split('\n').slice(-3).join('\n');
  const ports = described.map(({ port }) => port);
  const all = ports.flatMap((port) => [port, port + 1]);
  for (const untilMs = performance.now() + listenLimitMs; !areListening(all); await sleep(listenLookMs)) {
    if (ended === null && performance.now() < untilMs) continue;
    await child.stop('SIGKILL', 0);
    throw new Error(`ffmpeg ${ended ? `ended with ${ended}` : 'did not listen'} before it could write. ${lastWords()}`);
  }
  return {
    pid: child.pid,
    ports,
    exited,
    bytes: () => statSync(file, { throwIfNoEntry: false })?.size ?? 0,
    lastWords,
    async stop() {
      await Promise.race([sleep(farewellMs), exited]);
      child.process.kill('SIGINT');
      await Promise.race([sleep(noticeMs), exited]);
      await child.stop('SIGINT', stopLimitMs);
    },
    async kill() {
      await child.stop('SIGKILL', 0);
    },
  };
}

/** How ffmpeg reads what relays send it. */
export function describedInput(description: string): string[] {
  return [
    ...['-protocol_whitelist', 'file,udp,rtp', '-f', 'sdp', '-localaddr', '127.0.0.1', '-buffer_size', '1048576'],
    // The first packets say all there is to know: a picture's size is in the key frame that it begins with. To find out about its
    // rate would take twenty pictures, before which nothing is written. Where packets of that key frame were lost there is another one
    // soon, if whoever sends hears that it is asked for: to give up before it comes would lose the sound too.
    ...['-analyzeduration', '5000000', '-probesize', '5000000', '-fpsprobesize', '0'],
    // Packets that were sent again come late, and are put where they belong.
    ...['-reorder_queue_size', '128', '-max_delay', '200000', '-i', description],
  ];
}

function writerArguments(description: string, file: string): string[] {
  return [
    ...['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'warning', '-n'],
    // Times are those of the reports, so that zero is what they say it is.
    ...['-copyts', ...describedInput(description), '-map', '0', '-c', 'copy'],
    // Sound is not held back for a picture that is muted: a crash would lose it.
    ...['-f', 'matroska', '-max_interleave_delta', '1000000', '-cluster_time_limit', '250', '-flush_packets', '1'],
    `file:${file}`,
  ];
}

function readLog(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

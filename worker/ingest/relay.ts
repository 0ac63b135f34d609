/** Brings what one encoder sends into a room, as a participant, for as long as it sends: publishes, runs ffmpeg, and does so again when either fails. */
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { strangerEnvironment } from '../../src/config.js';
import { newMediaId } from '../../src/media/identity.js';
import type { MediaLink } from '../../src/media/media-link.js';
import { type MediaServer, MediaServerLostError } from '../../src/media/media-server.js';
import { type Child, startChild } from '../capture/child.js';
import { type IngestPlan, ingestArguments, planIngest } from './command.js';
import { type IngestFacts, probeIngest } from './probe.js';
import { openTally } from './tally.js';

/** A participant of now. */
export interface Presence {
  mediaId: string;
  plan: IngestPlan;
  /** What came from the encoder, since it is one. */
  counted(): { frames: number; soundPackets: number; soundBytes: number };
}

export interface RelayOptions {
  roomId: string;
  /** Where the stream is read: at `any` whatever it is, at `timed` with the times that the encoder gave. */
  urls: { any: string; timed: string };
  media: Pick<MediaLink, 'get'>;
  tools: { ffmpeg: string; ffprobe: string };
  /** Takes RTCP that nobody needs, on 127.0.0.1. */
  rtcpPort: number;
  /** Null: it is no participant any more. */
  onPresence: (presence: Presence | null) => void;
  /** Ends the encoder's connection. */
  endEncoder: () => Promise<void>;
  log: Logger;
  /** The encoder has gone, or may send no more. */
  signal: AbortSignal;
}

/** What all encoders are called in their rooms. */
const identity = 'ingest';
const name = 'Encoder';

const firstRetryMs = 500;
const slowestRetryMs = 10_000;
/** A life this long counts as health: the next failure is a new story. */
const healthyLifeMs = 30_000;
const mediaServerPollMs = 250;
/** ffmpeg writes at least ten times a second while it is given something. */
const stallLimitMs = 8_000;
/** Before, it waits for the first key frame: encoders that were not told otherwise send one every 8 to 10 s. */
const beginLimitMs = 20_000;
const stallLookMs = 1_000;
const keptLines = 10;

/** Resolves when the signal is aborted, and the participant has left. */
export async function relay(options: RelayOptions): Promise<void> {
  const { urls, media, tools, log, signal, endEncoder } = options;
  let facts: IngestFacts | undefined;
  let failures = 0;
  let retryMs = firstRetryMs;
  while (!signal.aborted) {
    const startedAt = Date.now();
    let why: string;
    try {
      facts ??= await probeIngest(urls.any, { ffprobe: tools.ffprobe, signal });
      const plan = planIngest(facts);
      // What cannot be read at one place may be at the other.
      const url = failures % 2 === 0 ? urls.timed : urls.any;
      const end = plan ? await publish(await media.get(), url, facts, plan, options) : 'nothing-to-publish';
      if (end === 'nothing-to-publish' || end === 'removed') {
        log.warn(
          { end },
          'an encoder is disconnected: it sends nothing that we understand, or was removed from its room',
        );
        await endEncoder();
        return;
      }
      if (end === 'media-server-lost') continue;
      why = end;
    } catch (error) {
      if (error instanceof MediaServerLostError) {
        await pause(mediaServerPollMs, signal);
        continue;
      }
      why = error instanceof Error ? error.message : String(error);
    }
    // It may send something else by now.
    facts = undefined;
    failures++;
    retryMs = Date.now() - startedAt > healthyLifeMs ? firstRetryMs : Math.min(retryMs * 2, slowestRetryMs);
    await pause(retryMs, signal);
    // Mostly the encoder had gone, which is seen a moment later. The address has the stream key in it.
    const words = why.replaceAll(urls.any, 'the stream').replaceAll(urls.timed, 'the stream');
    if (!signal.aborted) log.warn({ why: words }, 'an encoder is not in its room though it sends; it is tried again');
  }
}

/** Answers why it ended, in words where ffmpeg did. */
async function publish(
  server: MediaServer,
  url: string,
  facts: IngestFacts,
  plan: IngestPlan,
  { roomId, tools, rtcpPort, onPresence, log, signal }: RelayOptions,
): Promise<'asked' | 'removed' | 'media-server-lost' | string> {
  // A new one each time: numbers and times of packets begin anew, which nobody who receives them could follow.
  const mediaId = newMediaId('ingest', identity);
  const sound = await openTally();
  let child: Child | undefined;
  let stopFollowing: (() => Promise<void>) | undefined;
  try {
    const publication = await server.publish(roomId, { mediaId, name, tracks: plan.tracks });
    let tellRemoved: () => void = () => {};
    const removed = new Promise<void>((resolve) => {
      tellRemoved = resolve;
    });
    stopFollowing = await server.follow(roomId, (news) => {
      if (news.type === 'unpublished' && news.mediaId === mediaId) tellRemoved();
    });
    signal.throwIfAborted();
    child = await startChild({
      command: tools.ffmpeg,
      args: ingestArguments(url, { plan, facts, publication, ports: { rtcp: rtcpPort, sound: sound.port } }),
      user: null,
      env: strangerEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    log.info({ mediaId, video: plan.video, audio: plan.audio, ...facts.video }, 'an encoder is in its room');
    const progress = readProgress(child);
    onPresence({
      mediaId,
      plan,
      counted() {
        const { packets, bytes } = sound.count();
        return { frames: progress().frames, soundPackets: packets, soundBytes: bytes };
      },
    });
    return await Promise.race([
      // Its connection ends what is published too, and is no removal.
      server.ended.then(() => 'media-server-lost'),
      removed.then(() => 'removed'),
      untilEnded(child),
      untilStalled(child, progress, signal),
      untilAborted(signal).then(() => 'asked'),
    ]);
  } finally {
    onPresence(null);
    await child?.stop('SIGKILL', 0);
    sound.close();
    await stopFollowing?.().catch(() => {});
    await server.unpublish(roomId, mediaId).catch((error) => {
      if (!(error instanceof MediaServerLostError))
        log.warn({ err: error, mediaId }, 'an encoder could not be taken out of its room');
    });
  }
}

async function untilEnded(child: Child): Promise<string> {
  const lastLines: string[] = [];
  createInterface({ input: child.process.stderr as NodeJS.ReadableStream }).on('line', (line) => {
    lastLines.push(line);
    if (lastLines.length > keptLines) lastLines.shift();
  });
  const { code, signal } = await child.exited;
  return `ffmpeg ended with ${signal ?? `status ${code}`}. ${lastLines.join('\n')}`;
}

interface Progress {
  frames: number;
  position: string;
  /** When it last got further, epoch milliseconds. */
  movedAt: number;
}

/** ffmpeg tells twice a second how far it is: a report a second would find no news now and then. */
function readProgress(child: Child): () => Progress {
  const progress: Progress = { frames: 0, position: '', movedAt: Date.now() };
  createInterface({ input: child.process.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    const [key, value = ''] = line.split('=');
    if (key === 'frame') progress.frames = Number(value) || 0;
    if (key !== 'out_time_us' || value === progress.position) return;
    progress.position = value;
    progress.movedAt = Date.now();
  });
  return () => progress;
}

async function untilStalled(child: Child, progress: () => Progress, signal: AbortSignal): Promise<string> {
  const { process } = child;
  const runs = () => process.exitCode === null && process.signalCode === null;
  const limitMs = () => (progress().position === '' ? beginLimitMs : stallLimitMs);
  while (!signal.aborted && runs() && Date.now() - progress().movedAt < limitMs()) await pause(stallLookMs, signal);
  return `ffmpeg got no further for ${limitMs() / 1000} s`;
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

const pause = (ms: number, signal: AbortSignal): Promise<void> => sleep(ms, undefined, { signal }).catch(() => {});

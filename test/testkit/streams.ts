/** Recorder hosts on live inputs for tests: a sender of the test card, and the host that records it. */
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import {
  portsEach,
  type RecordingConfig,
  type RecordingInput,
  type RecordingOutput,
} from '../../src/recordings/config.js';
import { parseSessionDescription } from '../../src/recordings/session-description.js';
import { freePort } from '../../stack/ports.js';
import { finalizeJob } from '../../worker/finalize/finalize.js';
import type { FinalizedJob } from '../../worker/finalize/outcome.js';
import type { HostSettings, TestHost } from './host.js';
import { hostOnStream } from './host.js';
import { type ConfigWish, recordingOf } from './recording-config.js';
import { type Sender, type SenderOptions, startSender } from './senders.js';

const streamKey = 'cardkey1';

export interface LiveSource {
  /** What a recording is to have as its input. */
  input: ConfigWish['input'];
  sender(): Sender;
  /** Sends, or sends again where it left off at `fromSecond` of the card. */
  start(more?: Partial<SenderOptions>): Promise<void>;
  stop(): Promise<void>;
  kill(): Promise<void>;
}

/** A source of a type that is there, or where it is to be sent to us, is about to be. It is gone after the test. */
export async function liveSource(options: SenderOptions & { input?: Partial<RecordingInput> }): Promise<LiveSource> {
  const { input: more = {}, ...wish } = options;
  const { type } = wish;
  const port = wish.port ?? (await freeBlock());
  let sender: Sender | null = null;
  const start = async (now: Partial<SenderOptions> = {}) => {
    sender = await startSender({ streamKey, ...wish, port, ...now });
  };
  const isCalled = ['SRT_URL', 'RTMP_URL', 'RTSP_URL', 'HLS', 'DASH', 'HTTP_FLV'].includes(type);
  // RTP by description is known only when something is sent.
  if (isCalled || wish.described) await start();
  onTestFinished(() => sender?.kill());
  const description = (sender as Sender | null)?.description ?? null;
  return {
    input: {
      type,
      ...(isCalled ? { url: (sender as unknown as Sender).url } : { listenPort: port }),
      ...(type === 'RTMP_SERVER' || type === 'RTSP_SERVER' ? { streamKey } : {}),
      ...(description ? { tracks: parseSessionDescription(description) } : {}),
      ...(wish.passphrase ? { passphrase: wish.passphrase } : {}),
      ...more,
    },
    sender: () => sender as Sender,
    start,
    stop: async () => sender?.stop(),
    kill: async () => sender?.kill(),
  };
}

/** Starts a host that records the source, and the source too where that sends to it. */
export async function recordFrom(
  source: LiveSource,
  wish: Omit<ConfigWish, 'input'> = {},
  settings: HostSettings = {},
): Promise<TestHost> {
  const host = await hostOnStream(recordingOf({ ...wish, input: source.input }), settings);
  // Some senders give up when nobody listens yet.
  await sleep(listenMs);
  if (!source.sender()) await source.start();
  return host;
}

/** Of ports in a row, as each recording has: those that follow are looked at once, and then never again. */
async function freeBlock(): Promise<number> {
  const first = await freePort();
  for (let port = first + 2; port < first + portsEach; port += 2) await freePort();
  return first;
}

const listenMs = 700;

/** Makes the files of what hosts recorded below the folder; answers where they lie. */
export async function makeFiles(
  host: Pick<TestHost, 'folder'>,
  output: RecordingOutput,
  version = 1,
): Promise<{ outcome: FinalizedJob; files: string[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-made-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const files: string[] = [];
  const outcome = await finalizeJob({
    ...{ jobFolder: dirname(host.folder), jobId: 'test', version, name: 'Card', output },
    tools: { ffmpeg: 'ffmpeg', ffprobe: 'ffprobe' },
    storage: {
      async put(key, path) {
        const file = join(folder, basename(key));
        renameSync(path, file);
        files.push(file);
      },
    },
  });
  return { outcome, files };
}

export const outputOf = (format: RecordingOutput['format']): RecordingConfig['output'] => ({
  ...{ format, splitMs: null, fillGaps: false, hasVideo: format !== 'MP3', hasAudio: true },
});

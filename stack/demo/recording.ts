/** Makes one recording through the public API, as any client would, and downloads it. */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { WebSocket } from 'ws';
import { createTapedeck, type Tapedeck } from '../../examples/client/client.js';
import { enteredBy, followJob } from '../../examples/client/job.js';
import { Archive, JobStats, StartArchive } from '../../examples/client/operations.js';
import type { DemoOptions } from './options.js';
import { type DemoRoom, fillRoom } from './people.js';
import type { Progress } from './progress.js';
import { RecordingFailedError } from './recording-failed.js';

export interface Recording {
  file: string;
  bytes: number;
  /** Hexadecimal; the same that the API told. */
  sha256: string;
  /** Why it ended before its time; null when it did not. */
  early: string | null;
}

/** Records a room with three people in it, or the page that was given, and downloads to `out`. Throws RecordingFailedError. */
export async function record(
  url: string,
  apiKey: string,
  options: DemoOptions,
  chromium: string,
  progress: Progress,
): Promise<Recording> {
  const tapedeck = createTapedeck({ url, apiKey, webSocket: WebSocket });
  let room: DemoRoom | undefined;
  try {
    const { seconds: maxDuration, width, height } = options;
    if (!options.url) room = await fillRoom(tapedeck, { url, chromium });
    const source = room ? { roomId: room.roomId } : { url: options.url };
    const input = { ...source, width, height, maxDuration, name: 'Demo' };
    const { startArchive } = await tapedeck.request(StartArchive, { input });
    if (startArchive.__typename !== 'StartArchivePayload') throw new RecordingFailedError(startArchive.message);
    const { id } = startArchive.archive;
    await Promise.all([showStates(tapedeck, id, progress), showStats(tapedeck, id, progress)]);

    const { archive } = await tapedeck.request(Archive, { id });
    // A PARTIAL archive has a file too, and the file is what was asked for.
    if (!archive?.downloadUrl) {
      throw new RecordingFailedError(archive?.message ?? `The recording ended as ${archive?.state}.`);
    }
    const file = await download(archive.downloadUrl, options.out, archive.sha256sum);
    const early = archive.reason === 'MAXIMUM_DURATION' ? null : archive.message;
    return { ...file, early };
  } finally {
    await room?.close();
    await tapedeck.close();
  }
}

async function showStates(tapedeck: Tapedeck, jobId: string, progress: Progress): Promise<void> {
  for await (const event of followJob(tapedeck, jobId)) {
    const state = enteredBy(event);
    if (state) progress.state(state);
  }
}

async function showStats(tapedeck: Tapedeck, jobId: string, progress: Progress): Promise<void> {
  for await (const stats of tapedeck.latest(JobStats, { jobId })) progress.stats(stats);
}

/** Under another name until it is whole and its hash is right. */
async function download(
  url: string,
  file: string,
  sha256sum: string | null | undefined,
): Promise<Omit<Recording, 'early'>> {
  const unfinished = `${file}.part`;
  try {
    const response = await fetch(url);
    if (!response.ok || !response.body)
      throw new RecordingFailedError(`The download failed with status ${response.status}.`);
    await pipeline(response.body, createWriteStream(unfinished));
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of createReadStream(unfinished)) {
      hash.update(chunk);
      bytes += chunk.length;
    }
    const digest = hash.digest();
    if (digest.toString('base64') !== sha256sum) {
      throw new RecordingFailedError('The downloaded file is not the one that was recorded: its SHA-256 differs.');
    }
    await rename(unfinished, file);
    return { file, bytes, sha256: digest.toString('hex') };
  } finally {
    await rm(unfinished, { force: true });
  }
}

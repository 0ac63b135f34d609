/** Records one publication of a participant, from when it is heard of until it ends: usually one file, and the next one in its place after a fault. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { TrackEnd } from '../../src/jobs/capture.js';
import { parseMediaId } from '../../src/media/identity.js';
import {
  type Forwarded,
  type MediaParticipant,
  MediaServerLostError,
  type MediaTrack,
} from '../../src/media/media-server.js';
import { type Flow, forwardFlows, liveFlows, openFlow, type PacketSource, zeroOf } from './flows.js';
import type { TrackLedger } from './ledger.js';
import { isRecordable } from './session-description.js';
import { startTrackWriter, type TrackWriter } from './writer.js';

export interface PublicationOptions {
  participant: MediaParticipant;
  source: PacketSource;
  ledger: TrackLedger;
  ffmpeg: string;
  /** Of the incarnation. */
  folder: string;
}

export interface PublicationRecording {
  /** Ends the file that is open. Resolves when it is closed; later calls wait for the first. */
  end(cause: TrackEnd): Promise<void>;
}

const lookMs = 1_000;
// One whose packets go nowhere is stuck: ffmpeg writes a cluster at least every second.
const stuckMs = 8_000;
const longestPauseMs = 15_000;
const firstPauseMs = 250;
// A file of this length was worth beginning: what ended it was no fault of how it began.
const wellMs = 10_000;
const forwardPauseMs = 1_000;
/** Faults in a row after which it is said that something is wrong. */
const toldAfter = 2;

/** Begins at once. Never throws; it tries again for as long as it is not ended. */
export function recordPublication(options: PublicationOptions): PublicationRecording {
  const { participant, source, ledger, ffmpeg, folder } = options;
  const { mediaId, name } = participant;
  const asked = new AbortController();
  let cause: TrackEnd = 'LEFT';
  const endAsked = new Promise<'end'>((resolve) => asked.signal.addEventListener('abort', () => resolve('end')));
  const flows: Flow[] = [];
  const forwarded: Forwarded[] = [];

  async function run(): Promise<void> {
    const usable = participant.tracks.filter(({ codec }) => isRecordable(codec));
    const strange = participant.tracks.filter(({ codec }) => !isRecordable(codec));
    if (strange.length > 0) {
      const codecs = strange.map(({ codec }) => codec).join(', ');
      ledger.refuse(originOf(strange), `Tracks of the codec ${codecs} cannot be recorded as they are.`);
    }
    if (usable.length === 0) return;
    try {
      for (const track of usable) flows.push(await openFlow(track, source));
      await forwardAll();
      for (let faults = 0; !asked.signal.aborted; ) {
        const live = await liveFlows(flows, asked.signal);
        if (!live) return;
        // A jump of its time has taken away what there was.
        if (live.length === 0) continue;
        const wasWell = await recordFile(live);
        for (const { relay } of live) relay.hold();
        faults = wasWell ? 0 : faults + 1;
        if (faults === 0) continue;
        if (faults >= toldAfter) ledger.problem(mediaId, `What ${name || mediaId} publishes cannot be written.`);
        await pause(Math.min(longestPauseMs, firstPauseMs * 2 ** faults));
      }
    } finally {
      for (const { relay } of flows) relay.close();
      for (const { streamId } of forwarded) await source.stopForward(streamId).catch(() => {});
      ledger.problem(mediaId, null);
    }
  }

  /** They may have left again, which is heard of a moment later. */
  async function forwardAll(): Promise<void> {
    for (let failures = 0; !asked.signal.aborted; failures++) {
      try {
        forwarded.push(...(await forwardFlows(flows, source)));
        ledger.problem(mediaId, null);
        return;
      } catch (error) {
        if (error instanceof MediaServerLostError) return;
        if (failures >= toldAfter)
          ledger.problem(mediaId, `What ${name || mediaId} publishes does not come: ${error}.`);
        await pause(forwardPauseMs);
      }
    }
  }

  /** Answers false when it was cut short by a fault soon after it began. */
  async function recordFile(live: Flow[]): Promise<boolean> {
    const track = ledger.begin(originOf(live.map((flow) => flow.track)));
    const startedAtMs = performance.now();
    let writer: TrackWriter;
    try {
      writer = await startTrackWriter({ ffmpeg, folder, track, media: live.map((flow) => flow.track) });
    } catch (error) {
      ledger.end(track, 'WRITER_DIED', String(error));
      return false;
    }
    const zeroMs = zeroOf(live);
    if (zeroMs === null) {
      await writer.kill();
      ledger.end(track, 'CHANGED', 'before anything was written');
      return true;
    }
    ledger.firstMedia(track, zeroMs);
    for (const [index, { relay }] of live.entries()) relay.passOn(writer.ports[index] as number, zeroMs);
    const stuck = watchWriter(writer, () => live.reduce((sum, { relay }) => sum + relay.passed(), 0));
    const missing = flows.filter((flow) => !live.includes(flow));
    const ending = await Promise.race([
      endAsked.then(() => cause),
      writer.exited.then(() => 'WRITER_DIED' as const),
      stuck.found.then(() => 'WRITER_DIED' as const),
      ...missing.map(({ relay }) => relay.flows().then(() => 'CHANGED' as const)),
      ...live.map(({ relay }) => relay.jumped().then(() => 'CHANGED' as const)),
    ]);
    stuck.close();
    if (ending === 'WRITER_DIED') await writer.kill();
    else await Promise.all([writer.stop(), ...live.map(({ relay }) => relay.finish())]);
    ledger.end(track, ending, writer.lastWords());
    return ending !== 'WRITER_DIED' || performance.now() - startedAtMs > wellMs;
  }

  function originOf(tracks: readonly MediaTrack[]) {
    return {
      id: mediaId,
      identity: parseMediaId(mediaId)?.identity ?? mediaId,
      name,
      tracks: tracks.map(({ kind, codec, source: of }) => ({ kind, codec, source: of })),
    };
  }

  async function pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: asked.signal }).catch(() => {});
  }

  const running = run().catch((error: unknown) => {
    ledger.problem(mediaId, `What ${name || mediaId} publishes is not recorded: ${error}.`);
  });
  return {
    async end(why) {
      if (!asked.signal.aborted) {
        cause = why;
        asked.abort();
      }
      await running;
    },
  };
}

/** Tells when packets go into a writer and nothing comes out. */
function watchWriter(writer: TrackWriter, passed: () => number): { found: Promise<void>; close(): void } {
  let timer: NodeJS.Timeout | undefined;
  const found = new Promise<void>((resolve) => {
    let last = { bytes: 0, passed: 0, atMs: performance.now() };
    timer = setInterval(() => {
      const now = { bytes: writer.bytes(), passed: passed(), atMs: performance.now() };
      if (now.bytes > last.bytes || now.passed === last.passed) last = now;
      else if (now.atMs - last.atMs > stuckMs) resolve();
    }, lookMs);
  });
  return { found, close: () => clearInterval(timer) };
}

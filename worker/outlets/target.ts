/** Sends what is recorded to one far server for as long as it is recorded, and tells how that goes. */

import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TargetSpec, TargetStatus } from '../../src/jobs/capture.js';
import type { Gate } from '../../src/net/gate.js';
import { AddressRefusedError } from '../../src/net/refusal.js';
import { parseRtmpUrl, type RtmpAddress, shownRtmpUrl } from '../../src/net/rtmp-url.js';
import { connectSecurely } from '../../src/net/secure.js';
import { flvMessages } from './flv.js';
import type { OpenPart, PartLine } from './part-line.js';
import { remuxPart } from './remux.js';
import { type Publication, publishOn } from './rtmp/publish.js';

const shortestPauseMs = 500;
const longestPauseMs = 10_000;
/** A connection that lasted this long was a good one: the next pause is short again. */
const goodConnectionMs = 10_000;
/** A part that follows sooner, or an end that does, is not worth a word. */
const idleMs = 1_500;

const flvOutput = [
  ...['-map', '0', '-c', 'copy', '-f', 'flv', '-flvflags', 'no_duration_filesize'],
  ...['-flush_packets', '1', 'pipe:1'],
];

export interface Target {
  status(): TargetStatus;
  /** Ends the broadcast now. Resolves when the far server was told, or gone. */
  remove(): Promise<void>;
  /** Resolves when there is nothing to be sent any more. */
  ended: Promise<void>;
}

export interface TargetOptions {
  spec: TargetSpec;
  parts: PartLine;
  gate: Gate;
  ffmpeg: string;
  /** One line for the host's log. */
  note: (text: string) => void;
}

/** Begins at once, and goes on over parts and over restarts of the far server. Never throws. */
export function startTarget({ spec, parts, gate, ffmpeg, note }: TargetOptions): Target {
  const removed = new AbortController();
  const { signal } = removed;
  let state: TargetStatus['state'] = 'CONNECTING';
  let since = Date.now();
  let message: string | null = null;
  let { sentBefore = 0 } = spec;
  let publication: Publication | null = null;
  let shown = `target ${spec.id}`;

  function enter(next: TargetStatus['state'], words: string | null): void {
    if (next === state && words === message) return;
    if (next !== state) since = Date.now();
    state = next;
    message = words;
    note(`${shown}: ${state}${words ? `: ${words}` : ''}`);
  }

  async function run(): Promise<void> {
    let pauseMs = shortestPauseMs;
    try {
      const address = parseRtmpUrl(spec.url);
      shown = shownRtmpUrl(address);
      while (await parts.nextOpen(signal)) {
        const startedMs = performance.now();
        try {
          await broadcast(address);
        } catch (error) {
          if (signal.aborted || error instanceof AddressRefusedError) throw error;
          enter(state === 'CONNECTING' ? 'CONNECTING' : 'RECONNECTING', messageOf(error));
          if (performance.now() - startedMs > goodConnectionMs) pauseMs = shortestPauseMs;
          await sleep(pauseMs, undefined, { signal: AbortSignal.any([signal, parts.over]) }).catch(() => {});
          pauseMs = Math.min(longestPauseMs, pauseMs * 2);
        }
      }
      enter('ENDED', null);
    } catch (error) {
      if (signal.aborted) enter('ENDED', parts.over.aborted ? null : 'It was taken away.');
      else enter('FAILED', messageOf(error));
    }
  }

  /** Publishes over one connection until no part follows any more. */
  async function broadcast(address: RtmpAddress): Promise<void> {
    const socket = await connectTo(address);
    publication = await publishOn(socket, address);
    const over = new AbortController();
    void publication.lost.then((error) => over.abort(error));
    const either = AbortSignal.any([signal, over.signal]);
    const clock = createClock();
    try {
      let part: OpenPart | null = await parts.nextOpen(either);
      for (let from: 'newest' | 'start' = 'newest'; part; from = 'start') {
        await send(publication, part, from, clock, either);
        const waiting = setTimeout(() => enter('RECONNECTING', 'Nothing is recorded at the moment.'), idleMs);
        part = await parts.next(part.number, either).finally(() => clearTimeout(waiting));
      }
    } finally {
      await publication.close();
      sentBefore += publication.bytesSent();
      publication = null;
    }
  }

  async function send(
    to: Publication,
    part: OpenPart,
    from: 'newest' | 'start',
    clock: Clock,
    either: AbortSignal,
  ): Promise<void> {
    clock.startPart();
    await remuxPart({ ffmpeg, part, from, output: flvOutput, signal: either }, async (output) => {
      for await (const media of flvMessages(output)) {
        const body = media.kind === 'data' ? Buffer.concat([setDataFrame, media.body]) : media.body;
        await to.send({ ...media, body, timestamp: clock.place(media.timestamp) });
        if (media.kind !== 'data' && !either.aborted) enter('LIVE', null);
      }
    });
  }

  /** By way of the gate, which checks each address at the moment it is used. */
  async function connectTo({ secure, host, port }: RtmpAddress): Promise<Socket> {
    const plain = await gate.connect(host, port, signal);
    return secure ? connectSecurely(plain, host) : plain;
  }

  const ended = run();
  return {
    ended,
    status: () => ({
      ...{ id: spec.id, state, since, message },
      bytesSent: sentBefore + (publication?.bytesSent() ?? 0),
    }),
    async remove() {
      removed.abort(new Error('The target was taken away.'));
      await ended;
    },
  };
}

/** Marks metadata as such: "@setDataFrame" as AMF0 text. */
const setDataFrame = Buffer.concat([Buffer.from([2, 0, 13]), Buffer.from('@setDataFrame')]);

/** Puts parts, each of which counts from zero, one behind the other as they were recorded. */
interface Clock {
  startPart(): void;
  place(timestamp: number): number;
}

function createClock(): Clock {
  const startedMs = performance.now();
  let shift: number | null = null;
  let newest = -1;
  return {
    startPart() {
      shift = null;
    },
    place(timestamp) {
      shift ??= newest < 0 ? -timestamp : Math.max(newest + 1, Math.round(performance.now() - startedMs)) - timestamp;
      newest = Math.max(newest, timestamp + shift);
      return Math.max(0, timestamp + shift);
    },
  };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Passes one track on from the media server to ffmpeg: keeps packets until ffmpeg listens, tells it the time, and asks for key
 * frames where pictures were lost. The media server sends no reports of the time itself, without which sound and picture of a
 * participant would each begin at zero.
 */
import { randomInt } from 'node:crypto';
import type { Socket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { createTrackClock, type TrackClock } from './clock.js';
import { bindUdp, loopback } from './ports.js';
import {
  beginsKeyFrame,
  clockRates,
  farewell,
  keyFrameRequest,
  parseRtp,
  type RtpPacket,
  senderReport,
} from './rtp.js';
import { createSequence } from './sequence.js';

export interface TrackRelay {
  /** Where packets are to be sent to, and which SSRC they are to have. */
  port: number;
  ssrc: number;
  /** Packets come, though perhaps none yet that can begin a file. */
  isComing(): boolean;
  /** Packets that can begin a file are there. */
  isFlowing(): boolean;
  /** Wall clock (epoch ms) of the first of them; null while there are none. */
  firstMs(): number | null;
  /** Resolves when there are such packets, at once when there are already. */
  flows(): Promise<void>;
  /** Resolves when the track's time jumps: what comes then belongs into another file. */
  jumped(): Promise<void>;
  /** Where to ask for key frames from now on. */
  askAt(address: { host: string; port: number }): void;
  /** Begins to send to ffmpeg, first all that was kept, and the time. `zeroMs` (epoch): of which all its tracks are told first. */
  passOn(toPort: number, zeroMs: number): void;
  /** Tells ffmpeg that the track ends, when it has what was sent before; nothing is sent after. */
  finish(): Promise<void>;
  /** Sends no more, and keeps what comes, from the next picture on that stands alone. */
  hold(): void;
  /** Packets that were sent on. */
  passed(): number;
  close(): void;
}

export interface RelayOptions {
  /** Address to listen at. */
  address: string;
  /** Whose packets are taken. */
  from: string;
  /** A codec of `clockRates`. */
  codec: string;
}

// What is kept until ffmpeg listens, which takes it up to some seconds on a busy machine; a track that sends more in that time loses its beginning.
const keptBytes = 16 * 1_048_576;
// More than a network turns round.
const earlyPackets = 16;
// ffmpeg's own buffer holds some 200 packets on a system with usual limits.
const burstPackets = 48;
const burstPauseMs = 5;
const reportMs = 1_000;
const keyFramePauseMs = 300;
// A packet that was sent again comes within a round trip; a picture that was asked for costs as much as ten others.
const lossPatienceMs = 100;
// ffmpeg reads reports before packets: these must be in its hands by then.
const lastPacketsMs = 100;
const mostSsrc = 2 ** 31 - 1;

/** Throws when there is no port to listen at. */
export async function openRelay({ address, from, codec }: RelayOptions): Promise<TrackRelay> {
  const socket = await bindUdp(address);
  // What the media server still sends to a host that was killed may come to the same port.
  const ssrc = randomInt(1, mostSsrc);
  const rate = clockRates[codec] as number;
  let clock = createTrackClock(rate);
  let sequence = createSequence();
  let kept: { packet: Buffer; timestamp: number }[] = [];
  let keptSize = 0;
  let early: { packet: Buffer; rtp: RtpPacket }[] = [];
  let output: { port: number; isBehind: boolean } | null = null;
  let passed = 0;
  let missing = 0;
  let asked: { host: string; port: number } | null = null;
  let askedAtMs = Number.NEGATIVE_INFINITY;
  let isComing = false;
  let closed = false;
  let flow = event();
  let jump = event();
  const timers = new Set<NodeJS.Timeout>();
  const needsKeyFrame = !beginsKeyFrame(codec, Buffer.alloc(0));

  function take(packet: Buffer, remote: string): void {
    const rtp = remote === from ? parseRtp(packet) : null;
    if (rtp?.ssrc !== ssrc) return;
    isComing = true;
    if (!clock.see(rtp.timestamp, Date.now())) {
      if (output) jump.fire();
      keep();
      clock.see(rtp.timestamp, Date.now());
    }
    if (output || kept.length > 0) {
      passOne(packet, rtp);
      return;
    }
    if (!beginsKeyFrame(codec, rtp.payload)) {
      early = [...early.slice(-earlyPackets), { packet, rtp }];
      askForKeyFrame();
      return;
    }
    passOne(packet, rtp);
    // In disorder, more of the same picture may have come before.
    for (const each of early) if (each.rtp.timestamp === rtp.timestamp) passOne(each.packet, each.rtp);
    early = [];
  }

  function passOne(packet: Buffer, { sequence: number, timestamp }: RtpPacket): void {
    const numbered = sequence.next(number);
    if (!numbered) return;
    lose(numbered.missing);
    packet.writeUInt16BE(numbered.sequence, 2);
    if (output && !output.isBehind) {
      send(packet, output.port);
      return;
    }
    kept.push({ packet, timestamp });
    keptSize += packet.length;
    if (keptSize > keptBytes) keep();
    else flow.fire();
  }

  /** Sends no more; what comes is kept, from nothing on. */
  function keep(): void {
    output = null;
    kept = [];
    keptSize = 0;
    missing = 0;
    isComing = false;
    sequence = createSequence();
    clock = createTrackClock(rate);
    if (flow.hasFired()) flow = event();
  }

  function lose(packets: number): void {
    missing = Math.max(0, missing + packets);
    if (packets <= 0 || !needsKeyFrame) return;
    later(lossPatienceMs, () => {
      if (missing > 0) askForKeyFrame();
      missing = 0;
    });
  }

  function askForKeyFrame(): void {
    if (!asked || !needsKeyFrame || performance.now() - askedAtMs < keyFramePauseMs) return;
    askedAtMs = performance.now();
    socket.send(keyFrameRequest(ssrc), asked.port, asked.host);
  }

  function send(packet: Buffer, port: number): void {
    passed += 1;
    socket.send(packet, port, loopback);
  }

  async function catchUp(to: { port: number; isBehind: boolean }): Promise<void> {
    while (output === to && kept.length > 0) {
      const burst = kept.splice(0, burstPackets);
      for (const { packet } of burst) {
        keptSize -= packet.length;
        send(packet, to.port);
      }
      if (kept.length > 0) await new Promise<void>((resolve) => later(burstPauseMs, resolve));
    }
    to.isBehind = false;
  }

  function later(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      timers.delete(timer);
      if (!closed) work();
    }, ms);
    timers.add(timer);
  }

  const report = (to: Socket, at: TrackClock, wallMs: number, port: number) =>
    to.send(senderReport(ssrc, at.timestampAt(wallMs), wallMs), port + 1, loopback);
  const reporting = setInterval(() => {
    if (output) report(socket, clock, clock.wallMs(clock.newest()), output.port);
  }, reportMs);
  socket.on('message', (packet, { address: remote }) => take(packet, remote));

  return {
    port: socket.address().port,
    ssrc,
    isComing: () => isComing,
    isFlowing: () => kept.length > 0,
    firstMs: () => (kept[0] ? clock.wallMs(kept[0].timestamp) : null),
    flows: () => flow.fired,
    jumped: () => jump.fired,
    askAt(at) {
      asked = at;
      askForKeyFrame();
    },
    passOn(toPort, zeroMs) {
      clock.settle();
      jump = event();
      report(socket, clock, zeroMs, toPort);
      output = { port: toPort, isBehind: true };
      void catchUp(output);
    },
    async finish() {
      const to = output;
      output = null;
      if (!to) return;
      await sleep(lastPacketsMs);
      socket.send(farewell(ssrc), to.port + 1, loopback);
    },
    hold() {
      keep();
      askForKeyFrame();
    },
    passed: () => passed,
    close() {
      closed = true;
      output = null;
      clearInterval(reporting);
      for (const timer of timers) clearTimeout(timer);
      socket.close();
    },
  };
}

interface Event {
  fired: Promise<void>;
  hasFired(): boolean;
  fire(): void;
}

function event(): Event {
  let hasFired = false;
  let resolve = () => {};
  const fired = new Promise<void>((settle) => {
    resolve = settle;
  });
  return {
    fired,
    hasFired: () => hasFired,
    fire() {
      hasFired = true;
      resolve();
    },
  };
}

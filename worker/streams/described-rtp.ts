/**
 * Takes sound and pictures that are sent by RTP, and passes them on to ffmpeg once it is known how their times belong together. What
 * tells that comes every few seconds; ffmpeg itself would have sound and picture begin at the same time, and then jump.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { areListening, findPortPair, loopback } from '../tracks/ports.js';
import { farewell, parseRtp, senderReport } from '../tracks/rtp.js';

export interface DescribedRtp {
  /** Where ffmpeg is to listen on 127.0.0.1: a port for each track, and for RTCP the next. */
  ports: number[];
  /** Resolves when ffmpeg listens. Throws when it does not. */
  begun(): Promise<void>;
  close(): void;
}

export interface DescribedRtpOptions {
  /** Of the first track; of the others two on each. */
  port: number;
  /** The address that is listened at. */
  address: string;
  /** Multicast group that is joined there; null: none. */
  group: string | null;
  /** How many there are. */
  tracks: number;
  note: (text: string) => void;
}

// Reports come every 5 s; without any, the time of arrival is the best there is.
const reportsLimitMs = 6_000;
/** One that sends in bursts, or pauses, is left its place; another one may have it after so long. */
const silentMs = 3_000;
const lookMs = 50;
const mostKeptBytes = 32 * 1_048_576;
const receiveBufferBytes = 1_048_576;
// ffmpeg's own buffer holds some 200 packets on a system with usual limits.
const burstPackets = 48;
const burstPauseMs = 5;
const listenLimitMs = 15_000;
const listenLookMs = 20;
/** ffmpeg reads reports before packets: these must be in its hands by then. */
const reportLeadMs = 30;
const senderReportType = 200;

interface Track {
  to: number;
  sockets: Socket[];
  source: { address: string; ssrc: number; heardAtMs: number } | null;
  first: { timestamp: number; atMs: number } | null;
  report: Buffer | null;
  kept: Buffer[];
}

/** Throws when a port cannot be listened at. */
export async function takeDescribedRtp(options: DescribedRtpOptions): Promise<DescribedRtp> {
  const { port, address, group, note } = options;
  const output = createSocket('udp4');
  output.on('error', () => {});
  const tracks: Track[] = [];
  let mode: 'keeping' | 'catching up' | 'passing' | 'over' = 'keeping';
  let hasReports = true;
  let keptBytes = 0;
  let firstAtMs: number | null = null;

  const send = (packet: Buffer, to: number) => output.send(packet, to, loopback);

  function take(track: Track, packet: Buffer, remote: string): void {
    const rtp = parseRtp(packet);
    if (!rtp || mode === 'over') return;
    const now = performance.now();
    const { source } = track;
    const isOther = source !== null && (source.address !== remote || source.ssrc !== rtp.ssrc);
    if (isOther && source.address !== remote && now - source.heardAtMs < silentMs) return;
    if (isOther && mode !== 'keeping') {
      void finish('the source has begun anew');
      return;
    }
    if (isOther) forget(track);
    track.source = { address: remote, ssrc: rtp.ssrc, heardAtMs: now };
    track.first ??= { timestamp: rtp.timestamp, atMs: Date.now() };
    firstAtMs ??= now;
    if (mode === 'passing') {
      send(packet, track.to);
      return;
    }
    track.kept.push(packet);
    keptBytes += packet.length;
  }

  function forget(track: Track): void {
    keptBytes -= track.kept.reduce((sum, { length }) => sum + length, 0);
    Object.assign(track, { source: null, first: null, report: null, kept: [] });
  }

  function takeReport(track: Track, packet: Buffer, remote: string): void {
    if (packet.length < 28 || packet[1] !== senderReportType || mode === 'over') return;
    if (track.source && track.source.address !== remote) return;
    if (mode === 'passing' && hasReports) send(packet, track.to + 1);
    else track.report = packet;
  }

  /** From the first packet on, until it is known how the tracks belong together. */
  function isReady(): boolean {
    if (firstAtMs === null) return false;
    if (tracks.every(({ report, kept }) => report && kept.length > 0)) return true;
    return performance.now() - firstAtMs > reportsLimitMs || keptBytes > mostKeptBytes;
  }

  async function passOn(): Promise<void> {
    while (!isReady()) {
      await sleep(lookMs);
      if (mode === 'over') return;
    }
    const there = tracks.filter(({ kept }) => kept.length > 0);
    hasReports = there.every(({ report }) => report !== null);
    if (!hasReports) note('the source does not tell the time: sound and picture are put together as they arrive');
    mode = 'catching up';
    for (const { report, source, first, to } of there) {
      const arrived = senderReport(source?.ssrc ?? 0, first?.timestamp ?? 0, first?.atMs ?? Date.now());
      send(hasReports && report ? report : arrived, to + 1);
    }
    await sleep(reportLeadMs);
    while (tracks.some(({ kept }) => kept.length > 0)) {
      for (const { kept, to } of tracks) for (const packet of kept.splice(0, burstPackets)) send(packet, to);
      await sleep(burstPauseMs);
      if (mode !== 'catching up') return;
    }
    mode = 'passing';
  }

  async function finish(why: string): Promise<void> {
    if (mode === 'over') return;
    mode = 'over';
    note(why);
    for (const { source, to } of tracks) {
      // A track that never came ends too.
      send(farewell(source?.ssrc ?? 0), to + 1);
    }
  }

  let isClosed = false;
  function close(): void {
    if (isClosed) return;
    isClosed = true;
    mode = 'over';
    for (const { sockets } of tracks) for (const socket of sockets) socket.close();
    output.close();
  }

  try {
    for (let index = 0; index < options.tracks; index++) {
      const track: Track = {
        ...{ to: await findPortPair(), sockets: [] },
        ...{ source: null, first: null, report: null, kept: [] },
      };
      tracks.push(track);
      const media = await listen(port + 2 * index, address, group);
      track.sockets.push(media);
      media.on('message', (packet, { address: remote }) => take(track, packet, remote));
      const reports = await listen(port + 2 * index + 1, address, group);
      track.sockets.push(reports);
      reports.on('message', (packet, { address: remote }) => takeReport(track, packet, remote));
    }
  } catch (error) {
    close();
    throw error;
  }
  return {
    ports: tracks.map(({ to }) => to),
    async begun() {
      const all = tracks.flatMap(({ to }) => [to, to + 1]);
      for (const untilMs = performance.now() + listenLimitMs; !areListening(all); await sleep(listenLookMs)) {
        if (mode === 'over') return;
        if (performance.now() > untilMs) throw new Error('ffmpeg does not listen for the source.');
      }
      void passOn();
    },
    close,
  };
}

async function listen(port: number, address: string, group: string | null): Promise<Socket> {
  const family = (group ?? address).includes(':') ? 'udp6' : 'udp4';
  const socket = createSocket({ type: family, recvBufferSize: receiveBufferBytes, reuseAddr: group !== null });
  try {
    // Of a group alone, and not of others who use the same port.
    socket.bind(port, group ?? address);
    await once(socket, 'listening');
    if (group !== null) socket.addMembership(group, ['0.0.0.0', '::'].includes(address) ? undefined : address);
  } catch (error) {
    socket.close();
    throw error;
  }
  socket.on('error', () => {});
  return socket;
}

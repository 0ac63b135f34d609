/** Inputs that are sent to us without a connection: MPEG-TS by UDP, RTP and RIST, and RTP as a session description says. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createGate } from '../../src/net/gate.js';
import type { RtpTrack } from '../../src/recordings/config.js';
import { writeSessionDescription } from '../../src/recordings/session-description.js';
import { takeDescribedRtp } from './described-rtp.js';
import {
  type InputOptions,
  type OpenInput,
  plainInput,
  probing,
  probingTs,
  silenceUs,
  timeOfFirst,
} from './open-input.js';

/** Bytes that the system holds while ffmpeg is busy: half a second at 20 Mbit/s, as far as it allows. */
const receiveBuffer = '1048576';
/** Packets of 188 bytes that ffmpeg holds while its disk is busy: 7 s at 20 Mbit/s, which cost memory only when they are needed. */
const waitingPackets = '100000';
/** Microseconds, and packets, that one which came late is waited for. */
const reorderUs = '200000';
const reorderPackets = '128';

/** Throws AddressRefusedError for a group that may not be listened to. */
export async function openDatagrams(options: InputOptions): Promise<OpenInput> {
  const { input } = options.recording;
  const port = input.listenPort as number;
  if (input.type === 'RIST') return plainInput(ristArguments(options, port));
  const group = input.multicastGroup;
  if (group !== null) await createGate({ policy: options.egress }).resolve(group, port);
  const place = { group, port, localAddress: options.listenAddress };
  if (input.type === 'UDP') return plainInput(udpArguments(place));
  return input.tracks === null ? plainInput(rtpArguments(place)) : described(options, input.tracks, place);
}

async function described({ folder, part, note }: InputOptions, tracks: RtpTrack[], place: Place): Promise<OpenInput> {
  const { group, port, localAddress } = place;
  const taken = await takeDescribedRtp({ port, address: localAddress, group, tracks: tracks.length, note });
  const file = join(folder, `p${part}.sdp`);
  writeFileSync(file, writeSessionDescription(tracks, { address: '127.0.0.1', ports: taken.ports }), { mode: 0o600 });
  return {
    ...plainInput(describedArguments(file)),
    pictureFilter: timeOfFirst,
    begun: () => taken.begun(),
    close: async () => taken.close(),
  };
}

interface Place {
  group: string | null;
  port: number;
  localAddress: string;
}

const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);
const isAny = (address: string): boolean => address === '0.0.0.0' || address === '::';

/** Where ffmpeg binds, and of a group, by which interface it joins. */
const local = ({ localAddress }: Place): string[] => (isAny(localAddress) ? [] : ['-localaddr', localAddress]);

function udpArguments(place: Place): string[] {
  return [
    ...probingTs,
    ...['-protocol_whitelist', 'udp', '-f', 'mpegts', ...local(place), '-timeout', silenceUs],
    ...['-buffer_size', receiveBuffer, '-fifo_size', waitingPackets, '-overrun_nonfatal', '1'],
    ...['-i', `udp://${bracketed(place.group ?? place.localAddress)}:${place.port}`],
  ];
}

function rtpArguments(place: Place): string[] {
  return [
    ...probing,
    ...['-protocol_whitelist', 'rtp,udp', ...local(place), '-buffer_size', receiveBuffer],
    ...['-reorder_queue_size', reorderPackets, '-max_delay', reorderUs],
    ...['-i', `rtp://${bracketed(place.group ?? place.localAddress)}:${place.port}`],
  ];
}

function describedArguments(file: string): string[] {
  return [
    ...probing,
    ...['-protocol_whitelist', 'file,rtp,udp', '-f', 'sdp', '-localaddr', '127.0.0.1', '-buffer_size', receiveBuffer],
    ...['-reorder_queue_size', reorderPackets, '-max_delay', reorderUs, '-i', `file:${file}`],
  ];
}

function ristArguments({ recording, listenAddress }: InputOptions, port: number): string[] {
  return [
    ...probingTs,
    ...['-protocol_whitelist', 'rist', '-f', 'mpegts'],
    ...[
      '-buffer_size',
      `${Math.round(recording.input.latencyMs)}`,
      '-i',
      `rist://@${bracketed(listenAddress)}:${port}`,
    ],
  ];
}

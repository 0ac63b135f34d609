/** Session descriptions (SDP) of what is sent to us by RTP: read strictly into typed tracks, and written anew from those for ffmpeg. */
import type { RtpTrack } from './config.js';

/** Bytes. One of two tracks has some hundred. */
const mostBytes = 8_192;
const mostParameters = 32;

/** What ffmpeg reads from RTP, and Matroska holds; with their clocks where there is only one. */
const encodings: Record<RtpTrack['kind'], Record<string, number | null>> = {
  VIDEO: {
    H264: 90_000,
    H265: 90_000,
    VP8: 90_000,
    VP9: 90_000,
    MPV: 90_000,
    'MP4V-ES': 90_000,
    JPEG: 90_000,
    MP2T: 90_000,
  },
  AUDIO: {
    ...{ OPUS: 48_000, PCMU: null, PCMA: null, L16: null, L24: null, MPA: 90_000, AC3: null },
    ...{ 'MPEG4-GENERIC': null, 'MP4A-LATM': null, G722: 8_000 },
  },
};

/** Payload types that need no `rtpmap` (RFC 3551). */
const fixed: Record<number, Pick<RtpTrack, 'encoding' | 'clockRate' | 'channels'>> = {
  0: { encoding: 'PCMU', clockRate: 8_000, channels: 1 },
  8: { encoding: 'PCMA', clockRate: 8_000, channels: 1 },
  9: { encoding: 'G722', clockRate: 8_000, channels: 1 },
  10: { encoding: 'L16', clockRate: 44_100, channels: 2 },
  11: { encoding: 'L16', clockRate: 44_100, channels: 1 },
  14: { encoding: 'MPA', clockRate: 90_000, channels: null },
  26: { encoding: 'JPEG', clockRate: 90_000, channels: null },
  32: { encoding: 'MPV', clockRate: 90_000, channels: null },
  33: { encoding: 'MP2T', clockRate: 90_000, channels: null },
};

const parameterName = /^[A-Za-z0-9-]{1,64}$/;
const parameterValue = /^[A-Za-z0-9+/=,._:%-]{1,2048}$/;

/** The text is no description of what can be recorded. `message` says why, for people. */
export class SessionDescriptionError extends Error {
  override readonly name = 'SessionDescriptionError';
}

interface Media {
  kind: RtpTrack['kind'];
  payloadType: number;
  lines: string[];
}

/** The tracks in their order: at most one of each kind. Addresses and ports in it are not taken. Throws SessionDescriptionError. */
export function parseSessionDescription(text: string): RtpTrack[] {
  if (Buffer.byteLength(text) > mostBytes) fail(`It is longer than ${mostBytes} bytes.`);
  const lines = text.split(/\r?\n/).map((line) => line.trimEnd());
  if (lines[0] !== 'v=0') fail('Its first line must be "v=0".');
  const media: Media[] = [];
  for (const [index, line] of lines.entries()) {
    if (line === '') continue;
    if (!/^[a-z]=/.test(line) || /[^\x20-\x7e]/.test(line))
      fail(`Line ${index + 1} is no line of a session description.`);
    if (line.startsWith('a=crypto') || line.startsWith('a=fingerprint')) fail('Encrypted RTP is not taken.');
    if (line.startsWith('m=')) media.push(mediaOf(line, index));
    else media.at(-1)?.lines.push(line);
  }
  if (media.length === 0) fail('It has no line "m=audio" or "m=video".');
  for (const kind of ['AUDIO', 'VIDEO'] as const) {
    if (media.filter((each) => each.kind === kind).length > 1)
      fail(`It has more than one track of ${kind.toLowerCase()}.`);
  }
  return media.map(trackOf);
}

/** For ffmpeg, which listens at a port for each track, and for RTCP at the next. */
export function writeSessionDescription(
  tracks: readonly RtpTrack[],
  { address, ports }: { address: string; ports: readonly number[] },
): string {
  const family = address.includes(':') ? 'IP6' : 'IP4';
  const lines = ['v=0', `o=- 0 0 IN ${family} ${address}`, 's=-', `c=IN ${family} ${address}`, 't=0 0'];
  for (const [index, { kind, payloadType, encoding, clockRate, channels, parameters }] of tracks.entries()) {
    lines.push(`m=${kind.toLowerCase()} ${ports[index] as number} RTP/AVP ${payloadType}`);
    lines.push(`a=rtpmap:${payloadType} ${encoding}/${clockRate}${channels === null ? '' : `/${channels}`}`);
    const written = Object.entries(parameters).map(([name, value]) => `${name}=${value}`);
    if (written.length > 0) lines.push(`a=fmtp:${payloadType} ${written.join('; ')}`);
  }
  return `${lines.join('\r\n')}\r\n`;
}

function mediaOf(line: string, index: number): Media {
  const [, kind = '', , protocol = '', types = ''] = /^m=(\S+) (\d+(?:\/\d+)?) (\S+) (.+)$/.exec(line) ?? [];
  if (kind === '') fail(`Line ${index + 1} ("${line.slice(0, 60)}") is not as "m=video 5004 RTP/AVP 96".`);
  if (kind !== 'audio' && kind !== 'video') fail(`Its "m=${kind.slice(0, 20)}" is neither audio nor video.`);
  if (protocol !== 'RTP/AVP') fail(`It is sent by "${protocol.slice(0, 20)}"; only RTP/AVP is taken.`);
  const list = types.trim().split(/\s+/);
  const payloadType = /^\d{1,3}$/.test(list[0] ?? '') ? Number(list[0]) : 128;
  if (list.length !== 1) fail(`Its "m=${kind}" has ${list.length} payload types; write the one that is sent.`);
  if (payloadType > 127) fail(`Its "m=${kind}" has no payload type of 0 to 127.`);
  return { kind: kind === 'audio' ? 'AUDIO' : 'VIDEO', payloadType, lines: [] };
}

function trackOf({ kind, payloadType, lines }: Media): RtpTrack {
  const name = kind.toLowerCase();
  const map = attribute(lines, 'rtpmap', payloadType);
  const { encoding, clockRate, channels } =
    map === null ? (fixed[payloadType] ?? noMap(name, payloadType)) : mapOf(map);
  const known = Object.keys(encodings[kind]).find((each) => each === encoding.toUpperCase());
  if (!known) {
    const taken = Object.keys(encodings[kind]).join(', ');
    fail(`The encoding "${encoding}" of its ${name} cannot be recorded; these can: ${taken}.`);
  }
  const rate = encodings[kind][known];
  if (rate !== null && rate !== clockRate) fail(`The clock of ${encoding} is ${rate} Hz, not ${clockRate}.`);
  // Its name is in lower case by its own rules (RFC 7587).
  const spelled = known === 'OPUS' ? 'opus' : (known as string);
  const shown = kind === 'AUDIO' ? channels : null;
  return {
    kind,
    payloadType,
    encoding: spelled,
    clockRate,
    channels: shown,
    parameters: parametersOf(lines, payloadType),
  };
}

function mapOf(map: string): Pick<RtpTrack, 'encoding' | 'clockRate' | 'channels'> {
  const [, encoding = '', rate, channels] = /^([A-Za-z0-9-]{1,32})\/(\d{4,6})(?:\/(\d))?$/.exec(map) ?? [];
  if (encoding === '' || channels === '0') fail(`"${map.slice(0, 60)}" is not as "H264/90000" or "opus/48000/2".`);
  return { encoding, clockRate: Number(rate), channels: channels === undefined ? null : Number(channels) };
}

function parametersOf(lines: readonly string[], payloadType: number): Record<string, string> {
  const text = attribute(lines, 'fmtp', payloadType);
  if (text === null) return {};
  const pairs = text
    .split(';')
    .map((pair) => pair.trim())
    .filter(Boolean);
  if (pairs.length > mostParameters) fail(`Its fmtp has more than ${mostParameters} parameters.`);
  const parameters: Record<string, string> = {};
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    const name = pair.slice(0, Math.max(0, at));
    const value = pair.slice(at + 1);
    if (!parameterName.test(name) || !parameterValue.test(value) || name === '__proto__') {
      fail(`"${pair.slice(0, 60)}" in its fmtp is not a name and a value of letters, digits and + / = , . _ : % -.`);
    }
    parameters[name] = value;
  }
  return parameters;
}

function attribute(lines: readonly string[], name: string, payloadType: number): string | null {
  const start = `a=${name}:${payloadType} `;
  const found = lines.filter((line) => line.startsWith(start));
  if (found.length > 1) fail(`It has more than one ${name} of the payload type ${payloadType}.`);
  return found[0] === undefined ? null : found[0].slice(start.length).trim();
}

function noMap(name: string, payloadType: number): never {
  return fail(`Its ${name} has no line "a=rtpmap:${payloadType} …".`);
}

function fail(message: string): never {
  throw new SessionDescriptionError(`The session description cannot be used. ${message}`);
}

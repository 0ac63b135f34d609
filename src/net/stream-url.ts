/** Addresses of live sources that we call, by the type of input: read once into the typed values that are checked, used and shown. */
import type { InputType } from '../recordings/config.js';
import { classify, parseAddress } from './addresses.js';
import type { Gate } from './gate.js';
import { maxUrlLength, normaliseHost } from './hosts.js';
import { AddressRefusedError } from './refusal.js';
import { parseRtmpUrl, type RtmpAddress, shownRtmpUrl } from './rtmp-url.js';
import { readSrtSettings, type SrtSettings } from './srt-settings.js';

/** Types of inputs that have a URL. UDP and RTP have one only where they are received from a multicast group. */
export const urlTypes = ['SRT_URL', 'RTMP_URL', 'RTSP_URL', 'HLS', 'DASH', 'HTTP_FLV', 'UDP', 'RTP'] as const;
export type UrlType = (typeof urlTypes)[number] & InputType;

export const hasUrl = (type: InputType): type is UrlType => (urlTypes as readonly InputType[]).includes(type);

interface Place {
  /** Normalised; an IPv6 address has no brackets. */
  host: string;
  port: number;
}

/** Who we are for the source; both percent-decoded. */
interface Login {
  user: string | null;
  password: string | null;
}

export interface SrtAddress extends Place {
  kind: 'srt';
  /** What the URL says of the connection: it goes before what was set beside it. */
  settings: Partial<SrtSettings>;
}
export interface RtmpSource extends RtmpAddress {
  kind: 'rtmp';
}
export interface RtspAddress extends Place, Login {
  kind: 'rtsp';
  /** RTSP over TLS. */
  secure: boolean;
  /** With its query, from the slash on, percent-encoded. */
  path: string;
}
export interface HttpAddress extends Place, Login {
  kind: 'http';
  secure: boolean;
  /** With its query, from the slash on, percent-encoded. */
  path: string;
}
export interface GroupAddress extends Place {
  kind: 'group';
}
export type StreamAddress = SrtAddress | RtmpSource | RtspAddress | HttpAddress | GroupAddress;

interface Form {
  /** With the port of each where none is written; null: it must be. */
  schemes: Record<string, number | null>;
  example: string;
}

const web = (example: string): Form => ({ schemes: { 'http:': 80, 'https:': 443 }, example });
const forms: Record<Exclude<UrlType, 'RTMP_URL'>, Form> = {
  SRT_URL: { schemes: { 'srt:': null }, example: 'srt://live.example.org:9000' },
  RTSP_URL: { schemes: { 'rtsp:': 554, 'rtsps:': 322 }, example: 'rtsp://camera.example.org:8554/live' },
  HLS: web('https://example.org/live.m3u8'),
  DASH: web('https://example.org/live.mpd'),
  HTTP_FLV: web('https://example.org/live.flv'),
  UDP: { schemes: { 'udp:': null }, example: 'udp://239.1.2.3:5004' },
  RTP: { schemes: { 'rtp:': null }, example: 'rtp://239.1.2.3:5004' },
};

/** Ports that web pages may not use, but sources of a type do. */
export const portsOfType = (type: InputType): readonly number[] => (type === 'RTSP_URL' ? [554] : []);

/** Reads a URL of at most 2,048 characters. Throws AddressRefusedError. */
export function parseStreamUrl(type: UrlType, text: string): StreamAddress {
  if (type === 'RTMP_URL') return { kind: 'rtmp', ...parseRtmpUrl(text) };
  const form = forms[type];
  const url = readUrl(text, form);
  const place = placeOf(url, form);
  if (type === 'UDP' || type === 'RTP') return groupOf(url, place, type);
  const login = { user: decoded(url.username), password: decoded(url.password) };
  const path = `${url.pathname || '/'}${url.search}`;
  if (type === 'SRT_URL') {
    if (login.user !== null || login.password !== null) {
      throw new AddressRefusedError('credentials', 'SRT knows no user names: use a passphrase, or a stream id.');
    }
    return { kind: 'srt', ...place, settings: readSrtSettings(url) };
  }
  if (type === 'RTSP_URL') return { kind: 'rtsp', secure: url.protocol === 'rtsps:', ...place, ...login, path };
  return { kind: 'http', secure: url.protocol === 'https:', ...place, ...login, path };
}

/** The same address in one spelling, with all that it says. */
export function writeStreamUrl(address: StreamAddress, port = address.port): string {
  const place = `${address.host.includes(':') ? `[${address.host}]` : address.host}:${port}`;
  switch (address.kind) {
    case 'srt': {
      const { streamId, passphrase, keyLength, latencyMs } = address.settings;
      const values = { streamid: streamId, passphrase, pbkeylen: keyLength, latency: latencyMs };
      const query = Object.entries(values).filter(([, value]) => value !== undefined && value !== null);
      const written = query.map(([name, value]) => `${name}=${encodeURIComponent(`${value}`)}`).join('&');
      return `srt://${place}${written ? `?${written}` : ''}`;
    }
    case 'rtmp':
      return `${address.secure ? 'rtmps' : 'rtmp'}://${place}/${address.app}/${address.key}`;
    case 'rtsp':
    case 'http':
      return `${address.kind}${address.secure ? 's' : ''}://${loginOf(address)}${place}${address.path}`;
    case 'group':
      return `udp://${place}`;
  }
}

/** The address as it may be shown to those who may not open it: without passwords, stream keys, and queries, which have tokens in them. */
export function shownStreamUrl(address: StreamAddress): string {
  if (address.kind === 'rtmp') return shownRtmpUrl(address);
  if (address.kind === 'srt') return writeStreamUrl({ ...address, settings: {} });
  if (address.kind === 'group') return writeStreamUrl(address);
  const path = address.path.replace(/\?.*$/s, '?***');
  return writeStreamUrl({ ...address, user: null, password: null, path });
}

/**
 * One of the addresses that the gate has checked: what is then called must be this, since a second look-up could answer differently.
 * Throws AddressRefusedError, or UnreachableError if the name is not known.
 */
export async function resolveStream(gate: Gate, { host, port }: Place): Promise<{ ip: string; port: number }> {
  const addresses = await gate.resolve(host, port);
  // Many machines have no way to IPv6; what has only that is tried with it.
  const ip = addresses.find((each) => !each.includes(':')) ?? (addresses[0] as string);
  return { ip, port };
}

function readUrl(text: string, { schemes, example }: Form): URL {
  if (text.length > maxUrlLength) {
    const message = `The URL has ${text.length} characters; at most ${maxUrlLength} are taken.`;
    throw new AddressRefusedError('too-long', message);
  }
  if (/[\p{Cc}\s\\]/u.test(text)) {
    const message = 'The URL contains a space, a control character or a backslash. Write it percent-encoded.';
    throw new AddressRefusedError('malformed', message);
  }
  // Stream ids as SRT's access control writes them begin with `#!::`, which nobody percent-encodes.
  const whole = /^srt:/i.test(text) ? text.replaceAll('#', '%23') : text;
  const url = URL.canParse(whole) ? new URL(whole) : null;
  const names = Object.keys(schemes).map((scheme) => scheme.slice(0, -1));
  if (url && !(url.protocol in schemes)) {
    const message = `The scheme "${url.protocol.slice(0, 40)}" is not taken. Use ${names.join(' or ')}, such as ${example}.`;
    throw new AddressRefusedError('scheme', message);
  }
  if (!url?.hostname || !/^[a-z]+:\/\/[^/]/i.test(text)) {
    throw new AddressRefusedError('malformed', `This is not a URL. Write it in full, such as ${example}.`);
  }
  return url;
}

function placeOf(url: URL, { schemes, example }: Form): Place {
  const port = Number(url.port || (schemes[url.protocol] ?? 0));
  if (port === 0) throw new AddressRefusedError('malformed', `The URL has no port. Write it as ${example}.`);
  return { host: normaliseHost(decodeHost(url.hostname)), port };
}

/** Of schemes that it does not know, the parser percent-encodes names in other scripts. */
function decodeHost(host: string): string {
  return decoded(host) ?? '';
}

function groupOf(url: URL, place: Place, type: 'UDP' | 'RTP'): GroupAddress {
  const address = parseAddress(place.host);
  if (!address || classify(address) !== 'multicast') {
    const message = `${place.host} is not a multicast group (239.0.0.0 to 239.255.255.255, or ff00::/8). What is sent to one receiver alone is received at a port of ours: leave the URL out.`;
    throw new AddressRefusedError('malformed', message);
  }
  if (url.username || url.password || !['', '/'].includes(url.pathname) || url.search || url.hash) {
    const message = `The URL has more than a group and a port. Write it as ${forms[type].example}.`;
    throw new AddressRefusedError('malformed', message);
  }
  return { kind: 'group', ...place };
}

function decoded(text: string): string | null {
  if (text === '') return null;
  let value: string;
  try {
    value = decodeURIComponent(text);
  } catch {
    throw new AddressRefusedError('malformed', 'The URL has a "%" that is followed by no two hexadecimal digits.');
  }
  if (/\p{Cc}/u.test(value)) throw new AddressRefusedError('malformed', 'The URL contains a control character.');
  return value;
}

function loginOf({ user, password }: Login): string {
  if (user === null && password === null) return '';
  return `${encodeURIComponent(user ?? '')}${password === null ? '' : `:${encodeURIComponent(password)}`}@`;
}

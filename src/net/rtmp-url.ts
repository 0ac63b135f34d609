/** Addresses of servers that take a live stream by RTMP or RTMPS: read once into the form that is checked, used and shown. */
import { maxUrlLength, normaliseHost } from './hosts.js';
import { AddressRefusedError } from './refusal.js';

export interface RtmpAddress {
  /** RTMPS. */
  secure: boolean;
  host: string;
  port: number;
  /** What is between host and stream key, without slashes around it. */
  app: string;
  /** Whoever has it may publish: to be shown to nobody. */
  key: string;
}

const ports = { 'rtmp:': 1935, 'rtmps:': 443 } as const;
const expected = 'Write it in full, such as rtmp://live.example.org/app/stream-key.';

/** Reads `rtmp(s)://host[:port]/app/key`; the key is what follows the last slash of the path. Throws AddressRefusedError. */
export function parseRtmpUrl(text: string): RtmpAddress {
  if (text.length > maxUrlLength) {
    const message = `The URL has ${text.length} characters; at most ${maxUrlLength} are taken.`;
    throw new AddressRefusedError('too-long', message);
  }
  if (/[\p{Cc}\s\\]/u.test(text)) {
    const message = 'The URL contains a space, a control character or a backslash. Write it percent-encoded.';
    throw new AddressRefusedError('malformed', message);
  }
  const url = URL.canParse(text) ? new URL(text) : null;
  const fallback = ports[url?.protocol as keyof typeof ports];
  if (url && fallback === undefined) {
    const message = `The scheme "${url.protocol.slice(0, 40)}" is not taken. Use rtmp or rtmps.`;
    throw new AddressRefusedError('scheme', message);
  }
  if (!url?.hostname) throw new AddressRefusedError('malformed', `This is not a URL. ${expected}`);
  if (url.username || url.password) {
    const message = 'The URL contains a user name or a password. Use a stream key instead.';
    throw new AddressRefusedError('credentials', message);
  }
  const [, app, name] = /^\/(.+)\/([^/]+)$/.exec(url.pathname) ?? [];
  if (!app || !name) throw new AddressRefusedError('malformed', `The URL has no app or no stream key. ${expected}`);
  return {
    secure: url.protocol === 'rtmps:',
    host: normaliseHost(url.hostname),
    port: Number(url.port || fallback),
    app,
    // Services that sign their keys write that into the query.
    key: name + url.search,
  };
}

/** Host and port as they are written in a URL. */
export function rtmpPlace({ secure, host, port }: RtmpAddress): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return `${secure ? 'rtmps' : 'rtmp'}://${name}${port === ports[secure ? 'rtmps:' : 'rtmp:'] ? '' : `:${port}`}`;
}

/** The address as it may be shown: without its key. */
export const shownRtmpUrl = (address: RtmpAddress): string => `${rtmpPlace(address)}/${address.app}/***`;

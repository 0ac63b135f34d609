/**
 * How ffmpeg names servers that are reached over TLS: it is given plain `http://` only, and the front in this process does the
 * rest. Were it let use TLS through a proxy itself, a playlist could have it use any other proxy, and so reach anything.
 */
import { isIPv6 } from 'node:net';
import { normaliseHost, plainHost, portOf } from '../../src/net/hosts.js';

export interface Origin {
  secure: boolean;
  /** Normalised, without brackets. */
  host: string;
  port: number;
}

/** Nobody can have a name in it (RFC 6761). */
const suffix = '.tls.invalid';

/** Host and port by which ffmpeg is to ask for an origin. */
export function frontName({ secure, host, port }: Origin): string {
  if (!secure) return `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return `${host.replaceAll(':', '_')}.${port}${suffix}`;
}

/** The origin that was asked for. Throws AddressRefusedError when the host is none. */
export function originOf(url: URL): Origin {
  const host = plainHost(url);
  const [, name, port] = new RegExp(`^(.+)\\.(\\d{1,5})${suffix.replaceAll('.', '\\.')}$`).exec(host) ?? [];
  if (name === undefined) return { secure: false, host, port: portOf(url) };
  const address = name.replaceAll('_', ':');
  return { secure: true, host: normaliseHost(isIPv6(address) ? address : name), port: Number(port) };
}

/** An absolute URL as ffmpeg is to ask for it; null for what is neither http nor https. */
export function throughFront(url: URL): string | null {
  if (url.protocol === 'http:') return url.href;
  if (url.protocol !== 'https:') return null;
  const login = url.username || url.password ? `${url.username}${url.password ? `:${url.password}` : ''}@` : '';
  const name = frontName({ secure: true, host: plainHost(url), port: portOf(url) });
  return `http://${login}${name}${url.pathname}${url.search}`;
}

/** What ffmpeg said, in the names that people know. */
export const withoutFrontNames = (text: string): string =>
  text.replace(/http:\/\/([^\s/'"]+?)\.(\d{1,5})\.tls\.invalid/g, (_, name: string, port: string) => {
    const address = name.replaceAll('_', ':');
    return `https://${isIPv6(address) ? `[${address}]` : name}:${port}`;
  });

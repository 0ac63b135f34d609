/** Reading URLs and host names into the one form that can be checked, however they were written. */
import net from 'node:net';
import { AddressRefusedError } from './refusal.js';

/** Characters. Longer URLs break proxies and logs. */
export const maxUrlLength = 2048;

/**
 * Reads the URL of a web page. Its `href`, not the text it came from, is what may be used: other parsers read some texts differently.
 * Throws AddressRefusedError.
 */
export function parsePageUrl(text: string): URL {
  if (typeof text !== 'string' || text.length === 0) throw new AddressRefusedError('malformed', 'The URL is empty.');
  if (text.length > maxUrlLength) {
    throw new AddressRefusedError(
      'too-long',
      `The URL has ${text.length} characters; at most ${maxUrlLength} are taken.`,
    );
  }
  // Parsers disagree about these: some drop them, some read a backslash as a slash. What differs cannot be checked.
  if (/[\p{Cc}\s\\]/u.test(text)) {
    const message = 'The URL contains a space, a control character or a backslash. Write it percent-encoded.';
    throw new AddressRefusedError('malformed', message);
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new AddressRefusedError(
      'scheme',
      `The scheme "${url.protocol.slice(0, 40)}" is not taken. Use http or https.`,
    );
  }
  if (!url || !/^https?:\/\/[^/]/i.test(text)) {
    const message = 'This is not a URL. Write it in full, such as https://example.org/page (IPv6 zones are not taken).';
    throw new AddressRefusedError('malformed', message);
  }
  if (url.username || url.password || /^[^/]*\/\/[^/?#]*@/.test(text)) {
    const message = 'The URL contains a user name or a password. Pass a token in the path or query instead.';
    throw new AddressRefusedError('credentials', message);
  }
  if (!net.isIP(plainHost(url))) url.hostname = plainHost(url);
  return url;
}

/** The host of a URL without brackets, and without the dot that ends a fully qualified name. Throws AddressRefusedError. */
export function plainHost(url: URL): string {
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  if (!host || host.endsWith('.')) throw new AddressRefusedError('malformed', `"${url.hostname}" is not a host name.`);
  return host;
}

/** One form for every spelling of a host: lower case, ASCII, IPv4 in four decimal numbers. Throws AddressRefusedError. */
export function normaliseHost(host: string): string {
  const text = `http://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}/`;
  if (/[\p{Cc}\s\\/@?#]/u.test(host) || !URL.canParse(text) || new URL(text).port) {
    throw new AddressRefusedError('malformed', `"${host.slice(0, 100)}" is not a host name.`);
  }
  return plainHost(new URL(text));
}

/** Splits `host:port`, the host normalised. Throws AddressRefusedError. */
export function parseHostAndPort(text: string): { host: string; port: number } {
  const [, host, port] = /^(\[[^\]]*\]|[^:[\]]+):(\d{1,5})$/.exec(text) ?? [];
  if (!host || !port) {
    throw new AddressRefusedError(
      'malformed',
      `"${text.slice(0, 100)}" is not a host and a port. Write it as host:port.`,
    );
  }
  return { host: normaliseHost(host), port: Number(port) };
}

/** The port of a URL, the scheme's own when none is written. */
export function portOf(url: URL): number {
  return Number(url.port || (url.protocol === 'https:' ? 443 : 80));
}

/** The addresses that a normalised host means without any look-up; empty for a name. */
export function literalAddresses(host: string): string[] {
  // No name server may decide what these mean (RFC 6761).
  if (host === 'localhost' || host.endsWith('.localhost')) return ['127.0.0.1', '::1'];
  return net.isIP(host) ? [host] : [];
}

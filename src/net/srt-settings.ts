/** What may be said of an SRT connection in its URL, as others write it there. */
import { AddressRefusedError } from './refusal.js';

export interface SrtSettings {
  /** What a server is asked for; at most 512 bytes. */
  streamId: string;
  /** 10 to 79 characters. */
  passphrase: string;
  /** Bytes. */
  keyLength: 16 | 24 | 32;
  /** How late packets that were sent again may come, milliseconds. */
  latencyMs: number;
}

/** More would fill the memory of both sides. */
export const longestLatencyMs = 10_000;
const shortestPassphrase = 10;
const longestPassphrase = 79;
const longestStreamIdBytes = 512;
/** What we do anyway, so that it may be written. */
const ours: Record<string, string> = { mode: 'caller', transtype: 'live' };

/** Reads the query; a plus is a plus there, as with SRT's own programs. Throws AddressRefusedError for what is not taken. */
export function readSrtSettings(url: URL): Partial<SrtSettings> {
  if (!['', '/'].includes(url.pathname))
    refuse('An SRT URL has no path: use streamid=… to say what the server is asked for.');
  const settings: Partial<SrtSettings> = {};
  for (const pair of url.search.slice(1).split('&').filter(Boolean)) {
    const [name = '', ...rest] = pair.split('=');
    const value = decode(rest.join('='));
    if (name === 'streamid') settings.streamId = checkStreamId(value);
    else if (name === 'passphrase') settings.passphrase = checkPassphrase(value);
    else if (name === 'pbkeylen') settings.keyLength = checkKeyLength(value);
    else if (name === 'latency') settings.latencyMs = checkLatency(value);
    else if (!(name in ours)) {
      refuse(
        `"${name.slice(0, 40)}" is not taken in an SRT URL: only streamid, passphrase, pbkeylen, latency and mode=caller.`,
      );
    } else if (ours[name] !== value) {
      const hint = name === 'mode' ? ' To be called by the source, use an SRT server as the input.' : '';
      refuse(`${name}=${value.slice(0, 40)} is not taken in an SRT URL, only ${name}=${ours[name]}.${hint}`);
    }
  }
  return settings;
}

function checkStreamId(value: string): string {
  if (value === '' || Buffer.byteLength(value) > longestStreamIdBytes)
    refuse(`The streamid must have 1 to ${longestStreamIdBytes} bytes.`);
  return value;
}

function checkPassphrase(value: string): string {
  const bytes = Buffer.byteLength(value);
  if (bytes < shortestPassphrase || bytes > longestPassphrase)
    refuse(`The passphrase has ${bytes} characters; ${shortestPassphrase} to ${longestPassphrase} are needed.`);
  return value;
}

function checkKeyLength(value: string): SrtSettings['keyLength'] {
  const length = Number(value);
  if (length !== 16 && length !== 24 && length !== 32) refuse('pbkeylen must be 16, 24 or 32.');
  return length as SrtSettings['keyLength'];
}

function checkLatency(value: string): number {
  const ms = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
  if (!(ms <= longestLatencyMs)) refuse(`The latency must be 0 to ${longestLatencyMs} milliseconds.`);
  return ms;
}

function decode(text: string): string {
  let value: string;
  try {
    value = decodeURIComponent(text);
  } catch {
    return refuse('The URL has a "%" that is followed by no two hexadecimal digits.');
  }
  if (/\p{Cc}/u.test(value)) refuse('The URL contains a control character.');
  return value;
}

function refuse(message: string): never {
  throw new AddressRefusedError('malformed', message);
}

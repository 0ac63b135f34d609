/** One POST to a receiver: through the gate, bounded in time and size, following nothing. */
import { once } from 'node:events';
import { type IncomingMessage, request as openRequest } from 'node:http';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import type { Gate } from '../net/gate.js';
import { plainHost, portOf } from '../net/hosts.js';

/** Bytes of an answer that are read, to be shown in the log of deliveries. */
const maxAnswerBytes = 1_024;

export interface PostOutcome {
  /** HTTP status; null when there was no answer. */
  status: number | null;
  /** Why there was no answer, or how the answer began; null when it was empty. */
  detail: string | null;
}

export interface Post {
  url: string;
  headers: Record<string, string>;
  body: string;
  /** Ends the attempt, however far it is. */
  signal: AbortSignal;
}

/**
 * Posts and answers what came of it; never throws. The connection goes to an address that was checked at that moment, not to
 * what the name meant when the URL was given. An answer whose body does not end in time counts by its status.
 */
export async function post(gate: Gate, { url, headers, body, signal }: Post): Promise<PostOutcome> {
  const target = new URL(url);
  let socket: net.Socket | undefined;
  let giveUp = () => {};
  // Whatever it waits for, time is up for all of it.
  const timeUp = new Promise<never>((_, reject) => {
    giveUp = () => {
      const error = new Error('there was no answer in time');
      socket?.destroy(error);
      reject(error);
    };
  });
  // Also when nobody waits for it any more.
  timeUp.catch(() => {});
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    socket = await gate.connect(plainHost(target), portOf(target), signal);
    if (signal.aborted) giveUp();
    const stream =
      target.protocol === 'https:' ? await Promise.race([secure(socket, plainHost(target)), timeUp]) : socket;
    const response = await Promise.race([exchange(stream, target, headers, body), timeUp]);
    const text = await beginningOf(response);
    return { status: response.statusCode ?? null, detail: describe(response, text) };
  } catch (error) {
    return { status: null, detail: printable((error as Error).message) };
  } finally {
    signal.removeEventListener('abort', giveUp);
    socket?.destroy();
  }
}

/** TLS to the host by its name, whose certificate must be for that name, on a connection to a checked address. */
async function secure(socket: net.Socket, host: string): Promise<Duplex> {
  // A literal address is checked against the certificate too, but is not a name that could be asked for.
  const secured = connectTls({
    socket,
    host,
    ...(net.isIP(host) ? {} : { servername: host }),
  });
  // Errors after this are those of the exchange.
  secured.on('error', () => {});
  await once(secured, 'secureConnect');
  return secured;
}

function exchange(
  stream: Duplex,
  { pathname, search, host }: URL,
  headers: Record<string, string>,
  body: string,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = openRequest({
      createConnection: () => stream,
      method: 'POST',
      path: `${pathname}${search}`,
      headers: { ...headers, host, connection: 'close', 'content-length': String(Buffer.byteLength(body)) },
    });
    request.once('response', resolve);
    // Stays: a connection that breaks after the answer is an error of nobody any more.
    request.on('error', reject);
    // Such as an answer that changes the protocol, which is none.
    request.once('close', () => reject(new Error('the connection ended without an answer')));
    request.end(body);
  });
}

/** The first KiB of an answer's body, or what came of it before the connection was cut. */
async function beginningOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= maxAnswerBytes) break;
    }
  } catch {
    // The status has been given: what is missing of the body changes nothing.
  }
  return Buffer.concat(chunks).subarray(0, maxAnswerBytes).toString('utf8');
}

function describe({ statusCode = 0, headers }: IncomingMessage, text: string): string | null {
  if (statusCode < 300 || statusCode >= 400) return text === '' ? null : printable(text);
  const target = headers.location ? ` to ${headers.location}` : '';
  return printable(`Redirects are not followed: it points${target}. Give the final URL as the callback URL.`);
}

/** Postgres refuses NUL, and nobody needs the other control characters in a log. */
function printable(text: string): string {
  return text.slice(0, maxAnswerBytes).replace(/[^\P{Cc}\n\t]/gu, '�');
}

/** Answers the ingest server, which asks for each connection whether it may do what it wants to. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import * as z from 'zod';
import { keyOfPath } from './server.js';

export interface GatekeeperOptions {
  /** On 127.0.0.1; 0 for any. */
  port: number;
  /** What opens the API of the ingest server. */
  secret: string;
  /** What our own reader says to be let in. */
  readingPassword: string;
  /** Whether a room has this stream key now. */
  isStreamKey: (streamKey: string) => Promise<boolean>;
  log: Logger;
}

const wishShape = z.object({
  action: z.string(),
  path: z.string(),
  protocol: z.string(),
  password: z.string(),
  ip: z.string(),
});
type Wish = z.infer<typeof wishShape>;

/** A wish takes some 300 bytes; encoders choose path and credentials. */
const mostBytes = 16_384;

export async function startGatekeeper(options: GatekeeperOptions): Promise<{ port: number; close(): Promise<void> }> {
  const { secret, readingPassword, isStreamKey, log } = options;

  async function allows({ action, path, protocol, password, ip }: Wish): Promise<boolean> {
    if (action === 'api') return password === secret;
    if (action === 'read') return password === readingPassword;
    if (action !== 'publish' || (protocol !== 'rtmp' && protocol !== 'srt')) return false;
    const streamKey = keyOfPath(path);
    const allowed = streamKey !== null && (await isStreamKey(streamKey));
    // Never the key: whoever mistyped one has most of a good one.
    if (!allowed) log.warn({ protocol, ip }, 'an encoder was refused: no room has its stream key');
    return allowed;
  }

  const server = createServer(async (request, response) => {
    try {
      let body = '';
      for await (const chunk of request.setEncoding('utf8')) {
        body += chunk;
        if (body.length > mostBytes) break;
      }
      const wish = body.length > mostBytes ? undefined : wishShape.safeParse(JSON.parse(body)).data;
      response.statusCode = wish && (await allows(wish)) ? 200 : 401;
    } catch (error) {
      log.error({ err: error }, 'the ingest server asked whether something is allowed, and it could not be found out');
      response.statusCode = 500;
    }
    response.end();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

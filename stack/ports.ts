/** Chooses the ports of the stack's servers, and finds out early when one is taken. */
import { randomInt } from 'node:crypto';
import { type AddressInfo, createServer, type Server } from 'node:net';

/**
 * Free ports are looked for here: above the well-known ones, and below those that systems give out by themselves (from 32768 on
 * Linux, 49152 elsewhere). One of those can be gone between being found free and being listened on: Temporal takes some.
 */
const lowestPort = 20_000;
const highestPort = 32_000;
const findAttempts = 100;

/** A port is used by a program that is not ours. */
export class PortTakenError extends Error {
  override name = 'PortTakenError';
}

export interface WantedPort {
  host: string;
  /** 0: any free one. */
  port: number;
  /** Whether a server of ours will listen on it; else the number is left alone. */
  needed: boolean;
}

/**
 * The port for each setting that names one. Throws PortTakenError.
 * All are held until all are chosen, so that no two are the same.
 */
export async function choosePorts<Name extends string>(
  wanted: Record<Name, WantedPort>,
): Promise<Record<Name, number>> {
  const servers: Server[] = [];
  const chosen: [string, number][] = [];
  try {
    for (const [setting, { host, port, needed }] of Object.entries<WantedPort>(wanted)) {
      if (!needed) {
        chosen.push([setting, port]);
        continue;
      }
      const server = port === 0 ? await listenAnywhere(host) : await listen(port, host, setting);
      servers.push(server);
      chosen.push([setting, (server.address() as AddressInfo).port]);
    }
  } finally {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
  return Object.fromEntries(chosen) as Record<Name, number>;
}

/** A port of this machine that nobody listens on at the moment. */
export async function freePort(): Promise<number> {
  const { port } = await choosePorts({ port: { host: '127.0.0.1', port: 0, needed: true } });
  return port;
}

async function listenAnywhere(host: string): Promise<Server> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await listen(randomInt(lowestPort, highestPort), host, 'it');
    } catch (error) {
      if (!(error instanceof PortTakenError) || attempt === findAttempts) throw error;
    }
  }
}

function listen(port: number, host: string, setting: string): Promise<Server> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') return reject(error);
      reject(new PortTakenError(`Port ${port} is used by another program. Stop it, or set ${setting} to a free port.`));
    });
    server.listen(port, host, () => resolve(server));
  });
}

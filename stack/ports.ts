/** Chooses the ports of the stack's servers, and finds out early when one is taken. */
import { type AddressInfo, createServer, type Server } from 'node:net';

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
      const server = createServer();
      servers.push(server);
      await listen(server, port, host, setting);
      chosen.push([setting, (server.address() as AddressInfo).port]);
    }
  } finally {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
  return Object.fromEntries(chosen) as Record<Name, number>;
}

function listen(server: Server, port: number, host: string, setting: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') return reject(error);
      reject(new PortTakenError(`Port ${port} is used by another program. Stop it, or set ${setting} to a free port.`));
    });
    server.listen(port, host, resolve);
  });
}

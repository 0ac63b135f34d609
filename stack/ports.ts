/** Chooses the ports of the stack's servers, and finds out early when one is taken. */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

/**
 * Free ports are looked for here: above the well-known ones, and below those that systems give out by themselves (from 32768 on
 * Linux, 49152 elsewhere). One of those can be gone between being found free and being listened on: Temporal takes some.
 */
const lowestPort = 20_000;
const highestPort = 32_000;
const findAttempts = 100;
/**
 * Each process looks in another place first, and never at a port twice: some seconds pass until a server listens on what was found
 * for it, and another stack that starts meanwhile would find the same. A stack takes 11. Only even ones, since RTP takes the next too.
 */
const portsApart = 64;
let lookedAt = 0;

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
  /** TCP unless told. */
  protocol?: 'udp';
}

interface HeldPort {
  port: number;
  release(): Promise<void>;
}

/**
 * The port for each setting that names one. Throws PortTakenError.
 * All are held until all are chosen, so that no two are the same.
 */
export async function choosePorts<Name extends string>(
  wanted: Record<Name, WantedPort>,
): Promise<Record<Name, number>> {
  const held: HeldPort[] = [];
  const chosen: [string, number][] = [];
  try {
    for (const [setting, { host, port, needed, protocol }] of Object.entries<WantedPort>(wanted)) {
      if (!needed) {
        chosen.push([setting, port]);
        continue;
      }
      const hold = protocol === 'udp' ? holdUdp : holdTcp;
      const one = port === 0 ? await holdAny(host, hold) : await hold(port, host, setting);
      held.push(one);
      chosen.push([setting, one.port]);
    }
  } finally {
    await Promise.all(held.map((each) => each.release()));
  }
  return Object.fromEntries(chosen) as Record<Name, number>;
}

/** A port of this machine that nobody listens on at the moment. */
export async function freePort(): Promise<number> {
  const { port } = await choosePorts({ port: { host: '127.0.0.1', port: 0, needed: true } });
  return port;
}

const nextPort = (): number => lowestPort + ((process.pid * portsApart + 2 * lookedAt++) % (highestPort - lowestPort));

type Hold = (port: number, host: string, setting: string) => Promise<HeldPort>;

async function holdAny(host: string, hold: Hold): Promise<HeldPort> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await hold(nextPort(), host, 'it');
    } catch (error) {
      if (!(error instanceof PortTakenError) || attempt === findAttempts) throw error;
    }
  }
}

const holdTcp: Hold = (port, host, setting) => {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(refusal(error, port, setting)));
    const release = () => new Promise<void>((released) => server.close(() => released()));
    server.listen(port, host, () => resolve({ port, release }));
  });
};

const holdUdp: Hold = (port, host, setting) => {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => reject(refusal(error, port, setting)));
    const release = () => new Promise<void>((released) => socket.close(() => released()));
    socket.bind(port, host, () => resolve({ port, release }));
  });
};

function refusal(error: NodeJS.ErrnoException, port: number, setting: string): Error {
  if (error.code !== 'EADDRINUSE') return error;
  return new PortTakenError(`Port ${port} is used by another program. Stop it, or set ${setting} to a free port.`);
}

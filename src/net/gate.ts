/** The gate: every address that a stranger gives us, or that a stranger's page asks for, passes here before anything connects to it. */
import { lookup as lookupName } from 'node:dns/promises';
import net from 'node:net';
import { networkInterfaces } from 'node:os';
import type { EgressPolicy } from '../jobs/capture.js';
import { abortedAfter } from '../time-signal.js';
import { type AddressKind, classify, isWithin, kindNames, parseAddress, parseNetwork } from './addresses.js';
import { literalAddresses, normaliseHost, parseHostAndPort, parsePageUrl, plainHost, portOf } from './hosts.js';
import { isForeignPort } from './ports.js';
import { AddressRefusedError, UnreachableError } from './refusal.js';

// A name server that is down is tried for 5 s by the system's resolver before it asks the next one.
const lookupTimeoutMs = 6_000;
const connectTimeoutMs = 10_000;
// An address that swallows packets must leave time for the next one of the same host.
const attemptTimeoutMs = 3_000;

/** All addresses of a name, as text. */
export type Lookup = (name: string) => Promise<string[]>;

export interface Gate {
  /**
   * Reads a URL that a client gave, and checks what can be known without asking a name server: scheme, port, literal addresses.
   * The `href` of the answer is what may be used, not the text. Throws AddressRefusedError.
   */
  checkUrl(text: string): URL;
  /** `checkUrl`, and the addresses of the host too. A name that is not known now passes: it may be when it is needed. */
  checkPage(text: string): Promise<URL>;
  /**
   * All addresses of a host, each checked: one that is refused condemns the host, since we do not choose which is used.
   * Throws AddressRefusedError, or UnreachableError if the name is not known within 6 s.
   */
  resolve(host: string, port: number): Promise<string[]>;
  /**
   * Connects to one of the very addresses that were checked: a second look-up could answer differently.
   * Both directions of the socket close on their own. Throws AddressRefusedError, or UnreachableError within 10 s.
   */
  connect(host: string, port: number, signal?: AbortSignal): Promise<net.Socket>;
}

export interface GateOptions {
  policy: EgressPolicy;
  /** Name resolution; the system's own unless given. */
  lookup?: Lookup | undefined;
  /** Ports that are reached although web pages may not use them: those of the protocol that is spoken. */
  ports?: readonly number[];
}

/** Makes the gate of a policy. Throws TypeError or AddressRefusedError if the policy itself is malformed. */
export function createGate({ policy, lookup = systemLookup, ports = [] }: GateOptions): Gate {
  const allowedNetworks = policy.allowedNetworks.map(parseNetwork);
  const allowedHosts = new Set(policy.allowedHosts.map(parseHostAndPort).map(({ host, port }) => `${host}:${port}`));
  const deniedPorts = new Set(policy.deniedPorts);

  function checkPort(host: string, port: number): void {
    if (!Number.isInteger(port) || port < 0 || port > 65535) {
      throw new AddressRefusedError('port', `${port} is not a port. Use 1 to 65535.`);
    }
    if (isForeignPort(port) && !ports.includes(port) && !allowedHosts.has(`${host}:${port}`)) {
      const message = `Port ${port} is not for web pages, and browsers refuse it. Serve the page on another port.`;
      throw new AddressRefusedError('port', message);
    }
  }

  function checkAddress(text: string, host: string, port: number): void {
    const place = text === host ? text : `${host} (${text})`;
    const address = parseAddress(text);
    if (!address) throw new AddressRefusedError('address', `${place} is not an address that can be checked.`);
    const kind = classify(address);
    if (kind === 'metadata')
      throw new AddressRefusedError('address', `${place} is ${kindNames.metadata}. It is never reached.`);
    if (deniedPorts.has(port) && isOwn(address.toString(), kind)) {
      throw new AddressRefusedError(
        'port',
        `${place} port ${port} belongs to the service itself. It is never reached.`,
      );
    }
    if (kind === 'public' || allowedHosts.has(`${host}:${port}`)) return;
    if (allowedNetworks.some((network) => isWithin(address, network))) return;
    const advice = 'Use a public address, or have the operator add its network to ALLOWED_NETWORKS.';
    throw new AddressRefusedError('address', `${place} is ${kindNames[kind]}. ${advice}`);
  }

  function checkUrl(text: string): URL {
    const url = parsePageUrl(text);
    const host = plainHost(url);
    checkPort(host, portOf(url));
    for (const address of literalAddresses(host)) checkAddress(address, host, portOf(url));
    return url;
  }

  async function checkPage(text: string): Promise<URL> {
    const url = checkUrl(text);
    try {
      await resolve(plainHost(url), portOf(url));
    } catch (error) {
      if (!(error instanceof UnreachableError)) throw error;
    }
    return url;
  }

  async function resolve(host: string, port: number): Promise<string[]> {
    const name = normaliseHost(host);
    checkPort(name, port);
    const literal = literalAddresses(name);
    const addresses = literal.length > 0 ? literal : await lookUpInTime(name, lookup);
    for (const address of addresses) checkAddress(address, name, port);
    return addresses;
  }

  async function connect(host: string, port: number, signal?: AbortSignal): Promise<net.Socket> {
    const end = abortedAfter(connectTimeoutMs, ...(signal ? [signal] : []));
    const addresses = await resolve(host, port);
    const failures: string[] = [];
    for (const [index, address] of addresses.entries()) {
      const isLast = index === addresses.length - 1;
      const attemptEnd = isLast ? end : abortedAfter(attemptTimeoutMs, end);
      try {
        return await connectTo(address, port, attemptEnd);
      } catch (error) {
        failures.push((error as Error).message);
      }
    }
    throw new UnreachableError(`${host} port ${port} did not accept a connection: ${failures.join('; ')}.`);
  }

  return { checkUrl, checkPage, resolve, connect };
}

/** True if the address is this machine's. */
export function isOwn(address: string, kind: AddressKind): boolean {
  if (kind === 'loopback' || kind === 'unspecified') return true;
  // Read each time, 0.1 ms: addresses come and go while a recording runs.
  const own = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return own.some((each) => parseAddress(each.address)?.toString() === address);
}

async function systemLookup(name: string): Promise<string[]> {
  const found = await lookupName(name, { all: true });
  return found.map(({ address }) => address);
}

async function lookUpInTime(name: string, lookup: Lookup): Promise<string[]> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${lookupTimeoutMs / 1000} s`)), lookupTimeoutMs);
  });
  try {
    const addresses = await Promise.race([lookup(name), timeout]);
    if (addresses.length === 0) throw new Error('it has no address');
    return addresses;
  } catch (error) {
    throw new UnreachableError(`The name ${name} could not be resolved: ${(error as Error).message}.`);
  } finally {
    clearTimeout(timer);
  }
}

function connectTo(address: string, port: number, signal: AbortSignal): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new Error('no time left'));
    const socket = net.connect({ host: address, port, allowHalfOpen: true, noDelay: true });
    // A peer that vanished without a word is noticed after about 70 s: 60 s of silence, then ten probes a second apart.
    socket.setKeepAlive(true, 60_000);
    const giveUp = () => socket.destroy(new Error(`no answer from ${address} in time`));
    signal.addEventListener('abort', giveUp, { once: true });
    socket.once('close', () => signal.removeEventListener('abort', giveUp));
    socket.once('error', reject);
    socket.once('connect', () => {
      signal.removeEventListener('abort', giveUp);
      socket.removeListener('error', reject);
      resolve(socket);
    });
  });
}

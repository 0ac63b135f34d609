/** Hosts of their own on one machine: each a network namespace with an address and a name, on a network that one test has for itself. */
import { execFileSync } from 'node:child_process';
import { connect, createServer, type Server } from 'node:net';

export interface SeparateNetwork {
  /** Of this machine: where its hosts reach what is offered to them. */
  address: string;
  /** Of all its addresses, as CIDR. */
  range: string;
  /** From now on a TCP port of 127.0.0.1 is reached from the hosts, under the same number. */
  offer(port: number): Promise<void>;
  addHost(name: string): SeparateHost;
  /** Kills what runs on the hosts, and removes them. */
  close(): Promise<void>;
}

export interface SeparateHost {
  name: string;
  /** What is to be run for a program to run there, in its network and under its name; whoever runs it has its pid. */
  command(file: string, args: readonly string[]): { file: string; args: string[] };
  /** Nothing gets through from now on, in either direction; who is connected is not told. */
  cut(): void;
  /** Kills everything that runs there. */
  kill(): void;
}

const ip = (...args: string[]): string =>
  execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** Why hosts cannot be made here; null when they can. */
export function networkObstacle(): string | null {
  const probe = nameOf('probe');
  try {
    ip('netns', 'add', probe);
    ip('netns', 'del', probe);
    return null;
  } catch (error) {
    return `Network namespaces cannot be made here: ${(error as Error).message}`;
  }
}

/** Interfaces have names of at most 15 letters, and other tests may have some, too. */
const nameOf = (what: string): string => `td${process.pid.toString(36)}${what}`;

/** Throws where networkObstacle says why. */
export function openNetwork(): SeparateNetwork {
  const bridge = nameOf('br');
  const subnet = `10.213.${1 + (process.pid % 250)}`;
  const address = `${subnet}.1`;
  ip('link', 'add', bridge, 'type', 'bridge');
  ip('addr', 'add', `${address}/24`, 'dev', bridge);
  ip('link', 'set', bridge, 'up');
  const servers: Server[] = [];
  const hosts: { namespace: string; outside: string; kill(): void }[] = [];

  return {
    address,
    range: `${subnet}.0/24`,
    async offer(port) {
      const server = createServer((caller) => {
        const called = connect(port, '127.0.0.1');
        caller.pipe(called).pipe(caller);
        for (const [one, other] of [
          [caller, called],
          [called, caller],
        ] as const) {
          one.on('error', () => other.destroy());
          one.on('close', () => other.destroy());
        }
      });
      servers.push(server);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, address, resolve);
      });
      // Those that are connected when the test is over need not end before it.
      server.unref();
    },
    addHost(name) {
      const number = hosts.length + 1;
      const namespace = nameOf(`h${number}`);
      const inside = nameOf(`i${number}`);
      const outside = nameOf(`o${number}`);
      const kill = () => {
        for (const pid of ip('netns', 'pids', namespace).split('\n').filter(Boolean)) signal(Number(pid));
      };
      ip('netns', 'add', namespace);
      ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', inside, 'netns', namespace);
      hosts.push({ namespace, outside, kill });
      ip('link', 'set', outside, 'master', bridge);
      ip('link', 'set', outside, 'up');
      ip('-n', namespace, 'addr', 'add', `${subnet}.${1 + number}/24`, 'dev', inside);
      ip('-n', namespace, 'link', 'set', inside, 'up');
      // Recorders listen there for their own children.
      ip('-n', namespace, 'link', 'set', 'lo', 'up');
      return {
        ...{ name, kill },
        // Each of these becomes the next, so that signals and the channel reach the program itself.
        command: (file, args) => ({
          file: 'ip',
          args: [
            ...['netns', 'exec', namespace, 'unshare', '--uts', 'sh', '-c', 'hostname "$0" && exec "$@"', name],
            ...[file, ...args],
          ],
        }),
        cut: () => void ip('link', 'set', outside, 'down'),
      };
    },
    async close() {
      for (const { namespace, outside, kill } of hosts) {
        kill();
        // The namespace itself stays until the last of what was killed is gone.
        ip('link', 'del', outside);
        ip('netns', 'del', namespace);
      }
      ip('link', 'del', bridge);
      for (const server of servers) server.close();
    },
  };
}

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

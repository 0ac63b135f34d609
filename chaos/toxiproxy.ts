/** A network that can be held still: Shopify's toxiproxy between a client and its server, on loopback. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { strangerEnvironment } from '../src/config.js';
import { freePort } from '../stack/ports.js';
import { eventually } from './patience.js';

const startLimitMs = 10_000;
/** What has been sent already still arrives late, so a stall is a delay that nobody waits out. */
const stallMs = 3_600_000;

export interface Network {
  /** A new address that leads to another; answers `host:port`. */
  through(upstream: string): Promise<Line>;
  close(): Promise<void>;
}

export interface Line {
  address: string;
  /** From now on nothing arrives in either direction, connections stay open. What was sent meanwhile arrives at the end of it. */
  stall(): Promise<void>;
  release(): Promise<void>;
}

export async function startNetwork(): Promise<Network> {
  const port = await freePort();
  // The kernel ends it when this process is killed.
  const args = ['--pdeathsig', 'KILL', toxiproxy(), '-host', '127.0.0.1', '-port', String(port)];
  const child = spawn('setpriv', args, { stdio: 'ignore', env: strangerEnvironment({ LOG_LEVEL: 'error' }) });
  const closed = once(child, 'close');
  const ask = async (method: string, path: string, body?: object) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, body: body && JSON.stringify(body) });
    const text = await response.text();
    if (!response.ok) throw new Error(`toxiproxy answered ${response.status}: ${text}`);
    return text && JSON.parse(text);
  };
  await eventually('toxiproxy', startLimitMs, () => ask('GET', '/proxies'));
  let lines = 0;
  return {
    async through(upstream) {
      const name = `line-${++lines}`;
      const { listen } = await ask('POST', '/proxies', { name, upstream, listen: '127.0.0.1:0', enabled: true });
      const directions = ['upstream', 'downstream'];
      return {
        address: listen,
        async stall() {
          for (const stream of directions) {
            const attributes = { latency: stallMs, jitter: 0 };
            await ask('POST', `/proxies/${name}/toxics`, {
              name: stream,
              type: 'latency',
              stream,
              toxicity: 1,
              attributes,
            });
          }
        },
        async release() {
          for (const stream of directions) await ask('DELETE', `/proxies/${name}/toxics/${stream}`);
        },
      };
    },
    async close() {
      child.kill('SIGKILL');
      await closed;
    },
  };
}

/** Where set-up noted it to be. */
function toxiproxy(): string {
  const note = fileURLToPath(new URL('../build/toxiproxy-server', import.meta.url));
  if (existsSync(note)) return readFileSync(note, 'utf8').trim();
  throw new Error('toxiproxy has not been looked for yet. Run `node scripts/setup/go-tools.mjs`.');
}

/** A media server of a test's own, without the rest of a stack, and what it reports. */
import { pino } from 'pino';
import type { MediaServerAddress } from '../../src/config.js';
import { connectMediaServer } from '../../src/media/connect.js';
import { listenForMediaEvents } from '../../src/media/janus/event-feed.js';
import type { MediaServer, MediaServerEvent } from '../../src/media/media-server.js';
import { isolatedConfig, temporaryDataFolder } from '../../stack/isolated.js';
import { prepareJanus } from '../../stack/janus.js';
import { choosePorts } from '../../stack/ports.js';
import { supervise } from '../../stack/supervisor.js';

export interface OwnMediaServer {
  address: MediaServerAddress;
  /** Where it reports to on 127.0.0.1; nobody listens there unless `heard` was asked for. */
  eventsPort: number;
  /** Its configuration, and nothing else. */
  folder: string;
  /** Everything it has reported, when it was started with `listening`. */
  heard: MediaServerEvent[];
  /** Undefined between two lives. */
  readonly pid: number | undefined;
  /** A connection that is closed with it. */
  connect(): Promise<MediaServer>;
  /** Kills it; it is started again. Resolves when it is of use again. */
  kill(): Promise<void>;
  close(): Promise<void>;
}

const silent = pino({ level: 'silent' });
const free = { host: '127.0.0.1', port: 0, needed: true };

/** `listening`: whether the test hears what it reports, in `heard`. */
export async function startMediaServer({ listening = true } = {}): Promise<OwnMediaServer> {
  const { dataDir, remove } = temporaryDataFolder();
  const { port, eventsPort } = await choosePorts({ port: free, eventsPort: free });
  const heard: MediaServerEvent[] = [];
  const feed = listening
    ? await listenForMediaEvents({ port: eventsPort, log: silent, onEvent: (event) => heard.push(event) })
    : undefined;
  const { server: address, spec } = prepareJanus(isolatedConfig(dataDir), { port, eventsPort });
  const janus = supervise(spec, () => {});
  const connections: MediaServer[] = [];
  await janus.ready();
  return {
    address,
    eventsPort,
    folder: spec.cwd,
    heard,
    get pid() {
      return janus.pid;
    },
    async connect() {
      const connection = await connectMediaServer(address, { log: silent });
      connections.push(connection);
      return connection;
    },
    async kill() {
      await janus.kill('SIGKILL');
      await janus.ready();
    },
    async close() {
      await Promise.all(connections.map((connection) => connection.close()));
      await janus.stop();
      await feed?.close();
      remove();
    },
  };
}

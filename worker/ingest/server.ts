/** What we ask of the ingest server (MediaMTX), by its API: which encoders send to it, and to end one. */
import * as z from 'zod';

export interface IngestServerAddress {
  /** Ports on this machine: of its API, and of where it is read. */
  apiPort: number;
  rtspPort: number;
  rtmpPort: number;
  srtPort: number;
  /** Where it listens for encoders, and is read by RTMP and SRT. */
  host: string;
  /** What opens its API. */
  secret: string;
}

export type IngestProtocol = 'RTMP' | 'SRT';

/** One encoder that sends. */
export interface IngestStream {
  /** What it publishes with: it names the room. */
  streamKey: string;
  /** A new one with each connection of the encoder. */
  connection: string;
  protocol: IngestProtocol;
  /** As it calls them, such as `H264`, `MPEG-4 Audio`. */
  codecs: string[];
  /** Of the connection so far. */
  bytesReceived: number;
  packetsReceived: number;
  packetsLost: number;
}

export interface IngestServer {
  /** Who sends, and is understood so far that it can be read. Throws when the server does not answer. */
  streams(): Promise<IngestStream[]>;
  /** Ends an encoder's connection; nothing happens when it has ended already. */
  end(stream: IngestStream): Promise<void>;
}

const answerLimitMs = 5_000;
/** The most that it lists on one page; nobody sends more streams than that to one machine. */
const pageSize = 1_000;

const pathsShape = z.object({
  items: z.array(
    z.object({
      name: z.string(),
      ready: z.boolean(),
      source: z.object({ type: z.string(), id: z.string() }).nullable(),
      tracks: z.array(z.string()),
      bytesReceived: z.number(),
    }),
  ),
});
const srtShape = z.object({
  items: z.array(z.object({ id: z.string(), packetsReceived: z.number(), packetsReceivedDrop: z.number() })),
});

const protocols: Record<string, { protocol: IngestProtocol; connections: string }> = {
  rtmpConn: { protocol: 'RTMP', connections: 'rtmpconns' },
  srtConn: { protocol: 'SRT', connections: 'srtconns' },
};

export function createIngestServer({ apiPort, secret }: IngestServerAddress): IngestServer {
  const authorization = `Basic ${Buffer.from(`tapedeck:${secret}`).toString('base64')}`;

  async function ask(method: 'GET' | 'POST', path: string): Promise<Response> {
    const signal = AbortSignal.timeout(answerLimitMs);
    const answer = await fetch(`http://127.0.0.1:${apiPort}/v3/${path}`, {
      method,
      headers: { authorization },
      signal,
    });
    if (answer.ok || answer.status === 404) return answer;
    throw new Error(`The ingest server answered ${answer.status} to ${method} ${path}: ${await answer.text()}`);
  }

  return {
    async streams() {
      const { items } = pathsShape.parse(await (await ask('GET', `paths/list?itemsPerPage=${pageSize}`)).json());
      const srt = new Map<string, { packetsReceived: number; packetsReceivedDrop: number }>();
      if (items.some(({ source }) => source?.type === 'srtConn')) {
        const answer = await ask('GET', `srtconns/list?itemsPerPage=${pageSize}`);
        for (const each of srtShape.parse(await answer.json()).items) srt.set(each.id, each);
      }
      return items.flatMap(({ name, ready, source, tracks, bytesReceived }) => {
        const protocol = protocols[source?.type ?? '']?.protocol;
        if (!ready || !source || !protocol) return [];
        const { packetsReceived = 0, packetsReceivedDrop = 0 } = srt.get(source.id) ?? {};
        const counters = { bytesReceived, packetsReceived, packetsLost: packetsReceivedDrop };
        const streamKey = keyOfPath(name) ?? '';
        return [{ streamKey, connection: source.id, protocol, codecs: tracks, ...counters }];
      });
    },

    async end({ protocol, connection }) {
      const kind = Object.values(protocols).find((each) => each.protocol === protocol)?.connections;
      await (await ask('POST', `${kind}/kick/${connection}`)).body?.cancel();
    },
  };
}

const pathOf = (streamKey: string): string => `live/${streamKey}`;

/** Null for what is no place that encoders send to. */
export const keyOfPath = (path: string): string | null => /^live\/([A-Za-z0-9_-]+)$/.exec(path)?.[1] ?? null;

/** Where a stream is read, whatever its codecs are. Its tracks are placed in time by when they came. */
export const rtspUrl = ({ rtspPort }: IngestServerAddress, streamKey: string, password: string): string =>
  `rtsp://tapedeck:${password}@127.0.0.1:${rtspPort}/${pathOf(streamKey)}`;

/** Where it is read with the times that the encoder gave: at less cost by RTMP, which knows two codecs, else by SRT, which knows most. */
export function timedUrl(
  { host, rtmpPort, srtPort }: IngestServerAddress,
  { streamKey, codecs }: Pick<IngestStream, 'streamKey' | 'codecs'>,
  password: string,
): string {
  const local = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  const name = local.includes(':') ? `[${local}]` : local;
  return codecs.every((codec) => codec === 'H264' || codec === 'MPEG-4 Audio')
    ? `rtmp://${name}:${rtmpPort}/${pathOf(streamKey)}?user=tapedeck&pass=${password}`
    : `srt://${name}:${srtPort}?streamid=read:${pathOf(streamKey)}:tapedeck:${password}`;
}

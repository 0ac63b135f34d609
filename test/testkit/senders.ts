/** A real sender for each type of input: ffmpeg, or a real server that it publishes to, sends the test card as fast as it plays. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { newMediaId } from '../../src/media/identity.js';
import type { MediaServer } from '../../src/media/media-server.js';
import type { InputType } from '../../src/recordings/config.js';
import { freePort } from '../../stack/ports.js';
import { cardMaster, type Variant } from './card-master.js';
import { end, filesOf, startStreamServer, startWebServer } from './sender-servers.js';

export interface SenderOptions {
  type: Exclude<InputType, 'ROOM'>;
  /** Port of ours that it sends to; of those that are pulled from, the port that they have. */
  port?: number;
  streamKey?: string;
  passphrase?: string;
  keyLength?: 16 | 24 | 32;
  /** SRT that is pulled from a server, which gives `read:live/card`. */
  streamId?: string;
  /** Multicast group that it sends to. */
  group?: string;
  /** RTP as a session description says, which is then in `description`; else MPEG-TS. */
  described?: boolean;
  variant?: Variant;
  /** Where in the card it begins: numbers go on over restarts. Whole seconds. */
  fromSecond?: number;
  /** Until the end of the card when left out. */
  seconds?: number;
  /** Who may watch, of RTSP and RTMP that are pulled. */
  login?: { user: string; pass: string };
  /** Of a participant. */
  room?: { server: MediaServer; roomId: string; identity: string };
}

export interface Sender {
  /** What is to be called, of those that are pulled from. */
  url: string | null;
  /** The port that it was started with, to be started at again. */
  port: number;
  /** Session description of what it sends, where it is described. */
  description: string | null;
  process: ChildProcess;
  /** It says that it ends, and does. */
  stop(): Promise<void>;
  /** It is gone without a word, with what it was published by. */
  kill(): Promise<void>;
}

const local = '127.0.0.1';

export async function startSender(options: SenderOptions): Promise<Sender> {
  const port = options.port ?? (await freePort());
  const input = await cardInput(options);
  switch (options.type) {
    case 'SRT_URL':
      // Only a real server looks at what it is asked for.
      if (options.streamId) return published(options, port, input);
      return pulled(
        ffmpeg([...input, ...asTs(options), srtUrl(options, port, 'listener')]),
        port,
        srtCallUrl(options, port),
      );
    case 'SRT_SERVER':
      return sending(ffmpeg([...input, ...asTs(options), srtUrl(options, port, 'caller')]), port);
    case 'RTMP_SERVER':
      return sending(ffmpeg(asRtmp(input, `rtmp://${local}:${port}/live/${options.streamKey}`)), port);
    case 'RTSP_SERVER': {
      const to = `rtsp://${local}:${port}/live/${options.streamKey}`;
      return sending(ffmpeg([...input, '-c', 'copy', '-f', 'rtsp', '-rtsp_transport', 'tcp', to]), port);
    }
    case 'RTMP_URL':
    case 'RTSP_URL':
      return published(options, port, input);
    case 'HLS':
    case 'DASH':
      return segmented(options, port, input);
    case 'HTTP_FLV':
      return endlessFlv(options, port);
    case 'UDP': {
      const to = `udp://${options.group ?? local}:${port}?pkt_size=1316${options.group ? `&localaddr=${local}&ttl=1` : ''}`;
      return sending(ffmpeg([...input, ...asTs(options), to]), port);
    }
    case 'RTP':
      return options.described ? describedRtp(options, port, input) : rtpTs(options, port, input);
    case 'RIST':
      return sending(ffmpeg([...input, ...asTs(options), `rist://${local}:${port}`]), port);
    case 'PARTICIPANT':
      return participant(options, port, input);
  }
}

const usualVariants: Partial<Record<InputType, Variant>> = { PARTICIPANT: 'browser', RTSP_URL: 'camera' };

async function cardInput({ type, variant, fromSecond = 0, seconds }: SenderOptions): Promise<string[]> {
  const file = await cardMaster(variant ?? usualVariants[type] ?? 'card');
  // From the key frame that begins the second, which is shown a moment after that for the sake of B-frames.
  const from = fromSecond > 0 ? ['-ss', `${fromSecond + 0.2}`] : [];
  return ['-re', ...from, ...(seconds === undefined ? [] : ['-t', `${seconds}`]), '-i', file];
}

const asRtmp = (input: string[], url: string): string[] => [...input, '-c', 'copy', '-f', 'flv', url];

/** Publishes the card by RTMP to a server that is there already. */
export async function publishCard(url: string, from: Pick<SenderOptions, 'fromSecond'> = {}): Promise<ChildProcess> {
  return ffmpeg(asRtmp(await cardInput({ type: 'RTMP_URL', ...from }), url));
}

const asTs = (_: SenderOptions): string[] => ['-map', '0', '-c', 'copy', '-f', 'mpegts'];

function ffmpeg(args: string[]): ChildProcess {
  return spawn('ffmpeg', ['-nostdin', '-hide_banner', '-v', 'error', ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
}

function sending(child: ChildProcess, port: number, more: () => Promise<void> = async () => {}): Sender {
  return {
    ...{ url: null, port, description: null, process: child },
    async stop() {
      await end(child, 'SIGINT');
      await more();
    },
    async kill() {
      await end(child);
      await more();
    },
  };
}

const pulled = (child: ChildProcess, port: number, url: string, more?: () => Promise<void>): Sender => ({
  ...sending(child, port, more),
  url,
});

function srtUrl({ passphrase, keyLength = 16, streamId }: SenderOptions, port: number, mode: string): string {
  const secret = passphrase ? `&passphrase=${passphrase}&pbkeylen=${keyLength}` : '';
  const id = streamId && mode === 'caller' ? `&streamid=${encodeURIComponent(streamId)}` : '';
  return `srt://${local}:${port}?mode=${mode}&pkt_size=1316&latency=100000${secret}${id}`;
}

const srtCallUrl = ({ passphrase, keyLength = 16 }: SenderOptions, port: number): string =>
  `srt://${local}:${port}${passphrase ? `?passphrase=${encodeURIComponent(passphrase)}&pbkeylen=${keyLength}` : ''}`;

/** By a real media server, which is published to. */
async function published(options: SenderOptions, port: number, input: string[]): Promise<Sender> {
  const { type, login } = options;
  const server = await startStreamServer({
    ...{ [type === 'RTMP_URL' ? 'rtmpPort' : type === 'SRT_URL' ? 'srtPort' : 'rtspPort']: port },
    ...(login ? { login } : {}),
  });
  const to = `rtmp://${local}:${server.rtmpPort}/live/card`;
  const child = ffmpeg(asRtmp(input, to));
  const who = login ? `${encodeURIComponent(login.user)}:${encodeURIComponent(login.pass)}@` : '';
  const query = login ? `?user=${encodeURIComponent(login.user)}&pass=${encodeURIComponent(login.pass)}` : '';
  const urls = {
    RTMP_URL: `${to}${query}`,
    RTSP_URL: `rtsp://${who}${local}:${port}/live/card`,
    SRT_URL: `srt://${local}:${port}?streamid=${options.streamId}`,
  };
  const url = urls[type as keyof typeof urls];
  await server.published();
  return pulled(child, port, url, () => server.close());
}

async function segmented({ type }: SenderOptions, port: number, input: string[]): Promise<Sender> {
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-segments-'));
  const list = join(folder, type === 'HLS' ? 'live.m3u8' : 'live.mpd');
  const how =
    type === 'HLS'
      ? ['-f', 'hls', '-hls_time', '1', '-hls_list_size', '8', '-hls_flags', 'delete_segments+temp_file']
      : ['-f', 'dash', '-seg_duration', '1', '-window_size', '8', '-extra_window_size', '8', '-use_timeline', '1'];
  const child = ffmpeg([...input, '-map', '0', '-c', 'copy', ...how, list]);
  const server = await startWebServer(filesOf(folder), port);
  for (const untilMs = Date.now() + 20_000; !isThere(list, type); await sleep(50))
    if (Date.now() > untilMs) throw new Error(`There is no ${list}.`);
  return pulled(
    child,
    port,
    `http://${local}:${server.port}/${type === 'HLS' ? 'live.m3u8' : 'live.mpd'}`,
    async () => {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  );
}

const isThere = (list: string, type: string): boolean =>
  existsSync(list) && (type === 'DASH' || readFileSync(list, 'utf8').split('#EXTINF').length > 3);

/** Each who comes gets what is sent from that time on. */
async function endlessFlv(options: SenderOptions, port: number): Promise<Sender> {
  const startedAtMs = Date.now();
  const children = new Set<ChildProcess>();
  const { fromSecond = 0 } = options;
  const server = await startWebServer(async (_, response) => {
    const passed = Math.floor((Date.now() - startedAtMs) / 1000);
    const input = await cardInput({ ...options, fromSecond: fromSecond + passed });
    const child = ffmpeg([...input, '-c', 'copy', '-f', 'flv', 'pipe:1']);
    children.add(child);
    response.writeHead(200, { 'content-type': 'video/x-flv' });
    child.stdout?.pipe(response);
    response.once('close', () => void end(child));
  }, port);
  // Stands for the whole of it: there is a child for each who watches.
  const waiting = spawn('sleep', ['infinity'], { stdio: 'ignore' });
  return pulled(waiting, port, `http://${local}:${server.port}/live.flv`, async () => {
    await Promise.all([...children].map((child) => end(child)));
    await server.close();
  });
}

function rtpTs({ group }: SenderOptions, port: number, input: string[]): Sender {
  const to = `rtp://${group ?? local}:${port}?pkt_size=1328${group ? `&localaddr=${local}&ttl=1` : ''}`;
  return sending(ffmpeg([...input, '-c', 'copy', '-f', 'rtp_mpegts', to]), port);
}

/** The first track to the port, the second two ports on. */
async function describedRtp({ variant }: SenderOptions, port: number, input: string[]): Promise<Sender> {
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-described-'));
  const file = join(folder, 'session.sdp');
  const track = (stream: string, at: number) => [
    ...['-map', `0:${stream}`, '-c', 'copy', '-payload_type', stream === 'v' ? '96' : '97'],
    ...['-f', 'rtp', `rtp://${local}:${at}?pkt_size=1200`],
  ];
  const picture = variant === 'audio' ? [] : track('v', port);
  const sound = variant === 'video' ? [] : track('a', variant === 'audio' ? port : port + 2);
  // By one clock: each track would else be told to have begun when its own output was opened.
  const clock = ['-start_time_realtime', `${Date.now() * 1_000}`, '-avoid_negative_ts', 'disabled'];
  const child = ffmpeg([...input, '-sdp_file', file, ...[picture, sound].flatMap((one) => withOptions(one, clock))]);
  for (const untilMs = Date.now() + 10_000; !existsSync(file); await sleep(20))
    if (Date.now() > untilMs) throw new Error('ffmpeg has described nothing.');
  await sleep(100);
  const description = readFileSync(file, 'utf8').replace(/^SDP:\r?\n/, '');
  rmSync(folder, { recursive: true, force: true });
  return { ...sending(child, port), description };
}

/** Before the format of an output, if it is any. */
const withOptions = (output: string[], options: string[]): string[] =>
  output.length === 0 ? [] : [...output.slice(0, -1), ...options, ...output.slice(-1)];

/** As a browser publishes. */
async function participant({ room }: SenderOptions, port: number, input: string[]): Promise<Sender> {
  if (!room) throw new Error('A participant is in a room.');
  const { server, roomId, identity } = room;
  const mediaId = newMediaId('browser', identity);
  const publication = await server.publish(roomId, {
    ...{ mediaId, name: identity },
    tracks: [
      { mid: '0', kind: 'AUDIO', codec: 'opus', source: 'microphone' },
      { mid: '1', kind: 'VIDEO', codec: 'h264', source: 'camera', h264Profile: '42e01f' },
    ],
  });
  const to = `rtp://${publication.host}:${publication.port}?pkt_size=1200`;
  const [sound, picture] = publication.tracks;
  const child = ffmpeg([
    ...input,
    ...['-map', '0:a', '-c', 'copy', '-payload_type', '111', '-ssrc', `${sound?.ssrc}`, '-f', 'rtp', to],
    ...['-map', '0:v', '-c', 'copy', '-bsf:v', 'h264_mp4toannexb,dump_extra', '-payload_type', '96'],
    ...['-ssrc', `${picture?.ssrc}`, '-f', 'rtp', to],
  ]);
  const sender = sending(child, port);
  return {
    ...sender,
    async stop() {
      await sender.kill();
      await server.unpublish(roomId, mediaId);
    },
  };
}

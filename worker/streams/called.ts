/** Inputs that we call by a URL: RTMP, RTSP, HLS, DASH and HTTP-FLV. ffmpeg is given addresses that were checked, or ports of ours. */
import { createGate } from '../../src/net/gate.js';
import { rtmpPlace } from '../../src/net/rtmp-url.js';
import {
  type HttpAddress,
  parseStreamUrl,
  portsOfType,
  type RtmpSource,
  type RtspAddress,
  resolveStream,
  type StreamAddress,
  type UrlType,
  writeStreamUrl,
} from '../../src/net/stream-url.js';
import { dashList } from './dash.js';
import { throughFront } from './front-names.js';
import { startHttpFront } from './http-front.js';
import { type InputOptions, type OpenInput, plainInput, probing, silenceUs, timeOfFirst } from './open-input.js';
import { startStreamRelay } from './stream-relay.js';

/** Throws AddressRefusedError, or UnreachableError where the name is not known. */
export async function openCalled(options: InputOptions): Promise<OpenInput> {
  const { type, url } = options.recording.input;
  const address: StreamAddress = parseStreamUrl(type as UrlType, url ?? '');
  // Told now, and not only when ffmpeg calls.
  await gateOf(options).resolve(address.host, address.port);
  if (address.kind === 'rtmp') return openRtmp(address, options);
  if (address.kind === 'rtsp') return openRtsp(address, options);
  if (address.kind === 'http') return openHttp(address, options);
  throw new Error(`An input of the type ${type} is not called.`);
}

const gateOf = ({ egress, recording }: InputOptions) =>
  createGate({ policy: egress, ports: portsOfType(recording.input.type) });

async function openRtmp(address: RtmpSource, options: InputOptions): Promise<OpenInput> {
  const { secure, app, key } = address;
  const relay = secure ? await relayTo(address, options, false) : null;
  const { ip, port } = relay ? { ip: '127.0.0.1', port: relay.port } : await resolveStream(gateOf(options), address);
  const input = plainInput([
    ...probing,
    ...['-protocol_whitelist', 'rtmp,tcp', '-f', 'flv', '-rw_timeout', silenceUs, '-rtmp_live', 'live'],
    // Servers tell their customers apart by the name that they were called by.
    ...['-rtmp_tcurl', `${rtmpPlace(address)}/${app}`, '-rtmp_app', app, '-rtmp_playpath', key],
    ...['-i', `rtmp://${ip.includes(':') ? `[${ip}]` : ip}:${port}/`],
  ]);
  return { ...input, log: () => relay?.problem() ?? '', close: async () => void (await relay?.close()) };
}

async function openRtsp(address: RtspAddress, options: InputOptions): Promise<OpenInput> {
  const relay = await relayTo(address, options, true);
  const input = plainInput([
    ...probing,
    ...['-protocol_whitelist', 'tcp', '-f', 'rtsp', '-rtsp_transport', 'tcp', '-timeout', silenceUs],
    ...['-i', writeStreamUrl({ ...address, secure: false, host: '127.0.0.1', port: relay.port })],
  ]);
  return {
    ...input,
    pictureFilter: timeOfFirst,
    log: () => relay.problem() ?? '',
    refusedBy: (log) => loginRefusal(log),
    close: () => relay.close(),
  };
}

/** What ffmpeg may open of what a playlist names, and how. TLS is the business of the front. */
const segments = 'hls,mpegts,aac,mp3,ac3,eac3,mov,webvtt';
const playlist = ['-protocol_whitelist', 'http,tcp,crypto', '-format_whitelist', segments, '-f', 'hls'];
const flv = ['-protocol_whitelist', 'http,tcp', '-f', 'flv'];

async function openHttp(address: HttpAddress, options: InputOptions): Promise<OpenInput> {
  const { type } = options.recording.input;
  const { user, password } = address;
  const url = new URL(writeStreamUrl({ ...address, user: null, password: null }));
  const login = user === null && password === null ? '' : `${user ?? ''}:${password ?? ''}`;
  const written = login && `${encodeURIComponent(user ?? '')}:${encodeURIComponent(password ?? '')}@`;
  const front = await startHttpFront({
    ...{ gate: gateOf(options), onRefused: options.onRefused },
    ...(type === 'DASH' ? { dash: { url, login, written } } : {}),
  });
  const named = throughFront(url)?.replace('://', `://${written}`) ?? '';
  const input = plainInput([
    ...probing,
    ...['-rw_timeout', silenceUs, '-http_proxy', front.proxy, ...(type === 'HTTP_FLV' ? flv : playlist)],
    ...['-i', type === 'DASH' ? dashList : named],
  ]);
  return {
    ...input,
    log: () => front.problem() ?? '',
    refusedBy: (log) => (front.hasRefused() ? front.problem() : loginRefusal(log, front.badStatus())),
    close: () => front.close(),
  };
}

const relayTo = ({ host, port, secure }: RtmpSource | RtspAddress, options: InputOptions, isRtsp: boolean) =>
  startStreamRelay({ gate: gateOf(options), target: { host, port, secure }, onRefused: options.onRefused, isRtsp });

/** In ffmpeg's words. */
function loginRefusal(log: string, status: number | null = null): string | null {
  if (status === 401 || /\b401 Unauthorized\b|HTTP error 401/.test(log))
    return 'The source wants a user name and a password, or others.';
  if (status === 403 || /\b403 Forbidden\b|HTTP error 403/.test(log)) return 'The source does not let us in (403).';
  return null;
}

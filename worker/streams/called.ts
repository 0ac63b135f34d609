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
import { gateRefusal, loginRefusal } from './failures.js';
import { throughFront } from './front-names.js';
import { hlsOptions } from './hls-options.js';
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
    refusedBy: (log) => gateRefusal(relay.problem() ?? '') ?? loginRefusal(log),
    close: () => relay.close(),
  };
}

const flv = ['-protocol_whitelist', 'http,tcp', '-f', 'flv'];

async function openHttp(address: HttpAddress, options: InputOptions): Promise<OpenInput> {
  const { type } = options.recording.input;
  const { user, password } = address;
  const url = new URL(writeStreamUrl({ ...address, user: null, password: null }));
  const login = user === null && password === null ? '' : `${user ?? ''}:${password ?? ''}`;
  const written = login && `${encodeURIComponent(user ?? '')}:${encodeURIComponent(password ?? '')}@`;
  const format = type === 'HTTP_FLV' ? flv : await hlsOptions(options.tools.ffmpeg);
  const front = await startHttpFront({
    ...{ gate: gateOf(options), onRefused: options.onRefused },
    ...(type === 'DASH' ? { dash: { url, login, written } } : {}),
  });
  const named = throughFront(url)?.replace('://', `://${written}`) ?? '';
  const input = plainInput([
    ...probing,
    ...['-rw_timeout', silenceUs, '-http_proxy', front.proxy, ...format],
    ...['-i', type === 'DASH' ? dashList : named],
  ]);
  return {
    ...input,
    log: () => [front.problem(), front.refusal()].filter((line) => line !== null).join('\n'),
    isOver: () => front.hasEnded(),
    // What the gate refuses is answered as if the source had.
    refusedBy: (log) => gateRefusal(front.refusal() ?? '') ?? loginRefusal(`${log}\n${front.problem() ?? ''}`),
    close: () => front.close(),
  };
}

const relayTo = ({ host, port, secure }: RtmpSource | RtspAddress, options: InputOptions, isRtsp: boolean) =>
  startStreamRelay({ gate: gateOf(options), target: { host, port, secure }, onRefused: options.onRefused, isRtsp });

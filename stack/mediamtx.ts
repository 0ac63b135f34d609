/** The embedded ingest server, a MediaMTX that the supervisor runs: it takes what encoders send by RTMP and SRT, and asks us who may. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Config, strangerEnvironment } from '../src/config.js';
import type { ProcessSpec } from './supervisor.js';

/** The embedded ingest server cannot be run here; the message says what to do. */
export class MediamtxUnavailableError extends Error {
  override name = 'MediamtxUnavailableError';
}

export interface MediamtxPorts {
  /** Where encoders send to. */
  rtmp: number;
  srt: number;
  /** Where we read what they send, on 127.0.0.1. */
  rtsp: number;
  /** Its API, on 127.0.0.1. */
  api: number;
  /** Where it asks us who may do what, on 127.0.0.1. */
  auth: number;
}

const readyPollMs = 100;
const shutdownMs = 5_000;
/** An encoder that is silent for this long is gone. Its 10 s of its own accord would leave a frozen picture in the room. */
const silenceLimit = '5s';

/** Its program, which set-up found, or undefined: some machines cannot get it. */
export function findMediamtx(projectRoot: string): string | undefined {
  const note = join(projectRoot, 'build', 'mediamtx');
  const program = existsSync(note) ? readFileSync(note, 'utf8').trim() : '';
  return existsSync(program) ? program : undefined;
}

/** `secret` opens its API. Throws MediamtxUnavailableError. */
export function prepareMediamtx(config: Config, ports: MediamtxPorts): { secret: string; spec: ProcessSpec } {
  const program = findMediamtx(config.projectRoot);
  if (!program) throw new MediamtxUnavailableError('MediaMTX is missing. `npm run setup` says how to get it.');
  const folder = join(config.dataDir, 'mediamtx');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, 'mediamtx.yml');
  const origin = `https://${randomBytes(16).toString('hex')}.invalid`;
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(settings(config.host, ports, origin), null, 2), { mode: 0o600 });
  return {
    secret: randomBytes(32).toString('base64url'),
    spec: {
      name: 'mediamtx',
      // The kernel ends it when the stack is killed: no server is left behind.
      command: async () => ({
        file: 'setpriv',
        args: ['--pdeathsig', 'TERM', program, file],
        env: strangerEnvironment({ HOME: folder }),
      }),
      cwd: folder,
      ipc: false,
      ready: (died) => untilItself(`http://127.0.0.1:${ports.api}/v3/paths/list`, origin, died),
      stop: 'SIGTERM',
      stopLimitMs: shutdownMs,
    },
  };
}

function settings(host: string, ports: MediamtxPorts, origin: string) {
  const at = (address: string, port: number) => `${address.includes(':') ? `[${address}]` : address}:${port}`;
  const local = '127.0.0.1';
  return {
    // It logs each connection, with the stream key in it, as information.
    logLevel: 'warn',
    readTimeout: silenceLimit,
    authMethod: 'http',
    authHTTPAddress: `http://${at(local, ports.auth)}/`,
    // Its API can change its settings, and these can run commands: whoever uses it is asked for the secret, from this machine too.
    authHTTPExclude: [],
    api: true,
    apiAddress: at(local, ports.api),
    // No page has this origin. It is in each answer, so it tells this server from others.
    apiAllowOrigin: origin,
    rtmp: true,
    rtmpAddress: at(host, ports.rtmp),
    srt: true,
    srtAddress: at(host, ports.srt),
    rtsp: true,
    rtspTransports: ['tcp'],
    rtspAddress: at(local, ports.rtsp),
    ...{ hls: false, webrtc: false, metrics: false, pprof: false, playback: false },
    paths: { '~^live/[A-Za-z0-9_-]{16,128}$': { source: 'publisher', overridePublisher: true } },
  };
}

/** A refusal will do: who may use the API is only known once our own processes run. Another program at its port will not. */
async function untilItself(url: string, origin: string, died: AbortSignal): Promise<void> {
  while (!died.aborted) {
    const answer = await fetch(url, { signal: died }).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.headers.get('access-control-allow-origin') === origin) return;
    await sleep(readyPollMs, undefined, { signal: died }).catch(() => {});
  }
}

/**
 * SRT inputs. Where it is to be told how the link is, srt-live-transmit holds the connection, which ffmpeg's own SRT says nothing of,
 * and hands what comes to ffmpeg through a pipe: together they take 1.2 times the processor time of ffmpeg alone at 2 Mbit/s.
 */
import { closeSync } from 'node:fs';
import { strangerEnvironment } from '../../src/config.js';
import { createGate } from '../../src/net/gate.js';
import { longestLatencyMs, type SrtSettings } from '../../src/net/srt-settings.js';
import { parseStreamUrl, resolveStream } from '../../src/net/stream-url.js';
import type { RecordingInput } from '../../src/recordings/config.js';
import { findProgram, startChild } from '../capture/child.js';
import { srtRefusal } from './failures.js';
import { type InputOptions, type OpenInput, plainInput, probingTs, silenceUs } from './open-input.js';
import { openPipe, readNow } from './pipe.js';
import { createSrtLink, packetsBetweenReports } from './srt-link.js';

const stopLimitMs = 1_000;
const keptLogChars = 4_096;
// The flow window and buffer of its own accord hold 8192 packets: 4 s at 20 Mbit/s, which a longer latency could fill.
const longLatencyMs = 2_000;
const roomForLongLatency = { fc: 32_768, rcvbuf: 48_000_000 };

interface SrtPeer {
  mode: 'caller' | 'listener';
  host: string;
  port: number;
  settings: Partial<SrtSettings> & { latencyMs: number };
}

/** Throws AddressRefusedError or UnreachableError. */
export async function openSrt(options: InputOptions): Promise<OpenInput> {
  const peer = await peerOf(options);
  const { streamId = '', passphrase = '' } = peer.settings;
  // Its URLs know no escapes: what has this sign in it cannot be said there.
  const isSayable = !`${streamId}${passphrase}`.includes('&');
  const input =
    options.recording.input.linkStats && isSayable ? await transmitted(peer, options) : plainInput(ownArguments(peer));
  // One who calls us with another passphrase may be a stranger.
  return { ...input, refusedBy: (log) => (peer.mode === 'caller' ? srtRefusal(log) : null) };
}

async function peerOf({ recording, listenAddress, egress }: InputOptions): Promise<SrtPeer> {
  const { input } = recording;
  const settings = settingsOf(input);
  if (input.type === 'SRT_SERVER') {
    const { streamId: _, ...rest } = settings;
    return { mode: 'listener', host: listenAddress, port: input.listenPort as number, settings: rest };
  }
  const address = parseStreamUrl('SRT_URL', input.url ?? '');
  const { ip, port } = await resolveStream(createGate({ policy: egress }), address);
  return {
    ...{ mode: 'caller', host: ip, port },
    settings: { ...settings, ...(address.kind === 'srt' ? address.settings : {}) },
  };
}

function settingsOf({ latencyMs, passphrase, keyLength, streamId }: RecordingInput): SrtPeer['settings'] {
  return {
    latencyMs: Math.min(longestLatencyMs, Math.max(0, Math.round(latencyMs))),
    ...(streamId === null ? {} : { streamId }),
    ...(passphrase === null ? {} : { passphrase, keyLength }),
  };
}

async function transmitted(peer: SrtPeer, { folder, note }: InputOptions): Promise<Omit<OpenInput, 'refusedBy'>> {
  const media = await openPipe(folder);
  const reports = await openPipe(folder, { isPolled: true }).catch((error) => {
    closeSync(media.readEnd);
    closeSync(media.writeEnd);
    throw error;
  });
  const program = await startChild({
    command: findProgram('srt-live-transmit'),
    args: [
      // It ends with the connection, so that ffmpeg ends with it.
      ...['-q', '-a:no', '-ll:warning', '-f', `-s:${packetsBetweenReports}`, '-pf:json', '-statsout:/dev/fd/3'],
      ...[transmitUrl(peer), 'file://con'],
    ],
    user: null,
    env: strangerEnvironment(),
    stdio: ['ignore', media.writeEnd, 'pipe', reports.writeEnd],
  }).finally(() => {
    closeSync(media.writeEnd);
    closeSync(reports.writeEnd);
  });
  const link = createSrtLink();
  let isOpen = true;
  const read = () => {
    if (isOpen) link.hear(readNow(reports.readEnd), performance.now());
    return link.read(performance.now());
  };
  let log = '';
  program.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-keptLogChars);
  });
  void program.exited.then(({ code, signal }) => {
    note(`srt-live-transmit ended: ${signal ?? `status ${code}`}`);
    // It says nothing about a connection that did not come about, and ends as if all were well.
    if (log === '' && !read()) log = 'The other side of SRT did not answer, or sent nothing.\n';
  });
  let closing: Promise<void> | null = null;
  return {
    args: [...probingTs, '-protocol_whitelist', 'pipe', '-f', 'mpegts', '-i', 'pipe:0'],
    stdin: media.readEnd,
    resumable: true,
    pictureFilter: null,
    link: read,
    log: () => log,
    hasCome: () => read() !== null,
    close() {
      closing ??= program.stop('SIGTERM', stopLimitMs).then(() => {
        read();
        isOpen = false;
        closeSync(reports.readEnd);
        closeSync(media.readEnd);
      });
      return closing;
    },
  };
}

function transmitUrl({ mode, host, port, settings }: SrtPeer): string {
  const { latencyMs, passphrase, keyLength, streamId } = settings;
  const values: Record<string, string | number | undefined> = {
    ...{ mode, transtype: 'live', latency: latencyMs },
    ...(latencyMs > longLatencyMs ? roomForLongLatency : {}),
    ...(passphrase === undefined ? {} : { passphrase, pbkeylen: keyLength ?? 16 }),
    ...(streamId === undefined ? {} : { streamid: streamId }),
  };
  const query = Object.entries(values).map(([name, value]) => `${name}=${value}`);
  return `srt://${host.includes(':') ? `[${host}]` : host}:${port}?${query.join('&')}`;
}

/** ffmpeg's own SRT, which takes every value as it is. */
function ownArguments({ mode, host, port, settings }: SrtPeer): string[] {
  const { latencyMs, passphrase, keyLength, streamId } = settings;
  return [
    ...probingTs,
    ...['-protocol_whitelist', 'srt', '-f', 'mpegts', '-mode', mode, '-latency', `${latencyMs * 1_000}`],
    ...['-timeout', silenceUs, '-transtype', 'live'],
    ...(passphrase === undefined ? [] : ['-passphrase', passphrase, '-pbkeylen', `${keyLength ?? 16}`]),
    ...(streamId === undefined ? [] : ['-srt_streamid', streamId]),
    ...['-i', `srt://${host.includes(':') ? `[${host}]` : host}:${port}`],
  ];
}

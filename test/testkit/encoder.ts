/** An encoder as OBS is one, for tests: ffmpeg that sends the test card; and what keeps what the room passes on of it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { MediaParticipant, MediaServer } from '../../src/media/media-server.js';
import { choosePorts } from '../../stack/ports.js';
import { cardInputs } from './media-card.js';

const size = { width: 320, height: 240 };
const udp = { host: '127.0.0.1', port: 0, needed: true, protocol: 'udp' } as const;

export interface Encoder {
  process: ChildProcess;
  /** Its exit code, and what it complained of. */
  ended: Promise<{ code: number | null; said: string }>;
}

/** Sends H.264 of High profile with a key frame a second, and AAC. It is gone after the test. */
export function startEncoder(url: string, { bFrames = 0, codec = 'libx264' } = {}): Encoder {
  const inputs = cardInputs(size).flatMap((part) => (part === '-f' ? ['-re', '-f'] : [part]));
  const encoding = `-c:v ${codec} -preset veryfast -pix_fmt yuv420p -g 30 -bf ${bFrames} -b:v 400k -c:a aac -b:a 128k`;
  const format = url.startsWith('srt') ? 'mpegts' : 'flv';
  const args = ['-nostdin', '-v', 'error', ...inputs, ...encoding.split(' '), '-f', format, url];
  const encoder = spawn('ffmpeg', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  encoder.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const ended = once(encoder, 'close').then(([code]) => ({ code, said }));
  onTestFinished(() => void encoder.kill('SIGKILL'));
  return { process: encoder, ended };
}

/** Keeps what the room passes on of a participant, as it comes, for so long. Answers the file, which is gone after the test. */
export async function keepPassedOn(
  server: MediaServer,
  roomId: string,
  { mediaId, tracks }: MediaParticipant,
  seconds: number,
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-passed-on-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const ports = await choosePorts({ VIDEO: udp, AUDIO: udp });
  const media = {
    VIDEO: [`m=video ${ports.VIDEO} RTP/AVP 96`, 'a=rtpmap:96 H264/90000', 'a=fmtp:96 packetization-mode=1'],
    AUDIO: [`m=audio ${ports.AUDIO} RTP/AVP 111`, 'a=rtpmap:111 opus/48000/2', 'a=fmtp:111 sprop-stereo=1'],
  };
  const head = ['v=0', 'o=- 0 0 IN IP4 127.0.0.1', 's=x', 'c=IN IP4 127.0.0.1', 't=0 0'];
  const description = join(folder, 'room.sdp');
  writeFileSync(description, [...head, ...tracks.flatMap(({ kind }) => media[kind]), ''].join('\n'));
  const file = join(folder, 'passed-on.mkv');
  const reading = `-protocol_whitelist file,udp,rtp -analyzeduration 3000000 -reorder_queue_size 0 -buffer_size 1048576 -i`;
  const keeper = spawn(
    'ffmpeg',
    ['-nostdin', '-v', 'error', ...reading.split(' '), description, '-t', `${seconds}`, '-c', 'copy', file],
    { stdio: 'ignore' },
  );
  onTestFinished(() => void keeper.kill('SIGKILL'));
  const wishes = tracks.map(({ mid, kind }) => ({
    mid,
    port: ports[kind],
    payloadType: kind === 'VIDEO' ? 96 : 111,
    ssrc: 1 + Number(mid),
  }));
  await server.forward(roomId, mediaId, '127.0.0.1', wishes);
  await once(keeper, 'exit');
  return file;
}

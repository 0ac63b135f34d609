/** People who publish without a browser: one ffmpeg sends the test card for all of them, each with a colour and a tone of their own. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { newMediaId } from '../../src/media/identity.js';
import type { MediaServer, RtpTrack, TrackKind } from '../../src/media/media-server.js';
import { cardGeometry, cardInputs, toneHz as cardTone, type Size } from './media-card.js';
import type { Sound } from './media-read.js';
import { toneShares } from './people-read.js';

export const personSize: Size = { width: 320, height: 240 };

export interface RtpPerson {
  identity: string;
  /** As ffmpeg names colours: fills the upper part of the picture. */
  colour: string;
  /** Of the left channel, Hz. */
  tone: number;
  codec?: 'vp8' | 'h264';
  /** Both when left out. */
  sends?: TrackKind[];
  /** `personSize` when left out. */
  size?: Size;
}

export interface RtpPeople {
  /** In the order given. */
  mediaIds: string[];
  /** They vanish: packets stop, and the media server is told nothing. */
  kill(): Promise<void>;
  /** They leave. */
  leave(): Promise<void>;
}

const both: TrackKind[] = ['AUDIO', 'VIDEO'];

const encoders = {
  vp8: '-c:v libvpx -deadline realtime -cpu-used 8 -lag-in-frames 0 -error-resilient 1 -b:v 400k',
  // Its headers are in the stream itself: a filter that put them there would not outlast the first round.
  h264: '-c:v libx264 -preset ultrafast -tune zerolatency -profile:v baseline -x264-params repeat-headers=1 -b:v 400k',
};

/** Publishes them all by one clock: what flashes and beeps at the same time was sent at the same time. */
export async function publishPeople(server: MediaServer, roomId: string, people: RtpPerson[]): Promise<RtpPeople> {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const mediaIds: string[] = [];
  for (const [index, person] of people.entries()) {
    const { identity, codec = 'vp8', sends = both } = person;
    const mediaId = newMediaId('browser', identity);
    const tracks = sends.map((kind, at): RtpTrack => {
      if (kind === 'AUDIO') return { mid: `${at}`, kind, codec: 'opus', source: 'microphone' };
      return { mid: `${at}`, kind, codec, source: 'camera', ...(codec === 'h264' ? { h264Profile: '42e01f' } : {}) };
    });
    // The same ten seconds again and again.
    inputs.push('-re', '-stream_loop', '-1', '-i', await filmOf(person));
    const publication = await server.publish(roomId, { mediaId, name: identity.toUpperCase(), tracks });
    mediaIds.push(mediaId);
    const to = `rtp://${publication.host}:${publication.port}?pkt_size=1200`;
    for (const [at, kind] of sends.entries()) {
      const [stream, type] = kind === 'AUDIO' ? ['a', '111'] : ['v', '96'];
      outputs.push('-map', `${index}:${stream}`, '-c', 'copy', '-payload_type', type);
      outputs.push('-ssrc', `${publication.tracks[at]?.ssrc}`, '-f', 'rtp', to);
    }
  }
  const sender: ChildProcess = spawn('ffmpeg', ['-nostdin', '-v', 'error', ...inputs, ...outputs], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(sender, 'exit');
  async function kill(): Promise<void> {
    sender.kill('SIGKILL');
    await ended;
  }
  return {
    mediaIds,
    kill,
    async leave() {
      await kill();
      for (const mediaId of mediaIds) await server.unpublish(roomId, mediaId);
    },
  };
}

const films = new Map<string, Promise<string>>();

/** Ten seconds of somebody, made once for all who look and sound alike: to encode it while it is sent takes a machine without other work. */
export function filmOf({ identity: _, ...look }: RtpPerson): Promise<string> {
  const key = JSON.stringify(look);
  const film = films.get(key) ?? makeFilm(look);
  films.set(key, film);
  return film;
}

async function makeFilm(look: Omit<RtpPerson, 'identity'>): Promise<string> {
  const { colour, tone, codec = 'vp8', sends = both, size = personSize } = look;
  const folder = await mkdtemp(join(tmpdir(), 'tapedeck-test-film-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const film = join(folder, 'film.mkv');
  const box = `drawbox=x=0:y=0:w=${size.width}:h=${colouredRows(size)}:color=${colour}:t=fill`;
  const inputs = cardInputs(size).map((input) => input.replace(`PI*${cardTone}*`, `PI*${tone}*`));
  const picture = ['-map', '0:v', '-vf', box, ...encoders[codec].split(' '), '-g', '30', '-pix_fmt', 'yuv420p'];
  const sound = ['-map', '1:a', '-c:a', 'libopus', '-b:a', '64k', '-frame_duration', '20'];
  const shown = sends.includes('VIDEO') ? picture : [];
  await promisify(execFile)('ffmpeg', ['-nostdin', '-v', 'error', ...inputs, '-t', '10', ...shown, ...sound, film]);
  return film;
}

const colouredRows = (size: Size): number => Math.floor(cardGeometry(size).flashTop / 2);

/** Which of these tones is heard most of the time in the left channel; null when none is. */
export function heardTone(sound: Sound, tones: readonly number[]): number | null {
  const shares = toneShares(sound, tones);
  const most = shares.indexOf(Math.max(...shares));
  return (shares[most] ?? 0) > 0.5 ? (tones[most] as number) : null;
}

/** The colour of the upper part of a picture of `personSize` in the middle of a file: `red`, `lime` or `blue`, whichever it is nearest to. */
export async function colourOf(file: string): Promise<string> {
  const filter = `crop=iw:${colouredRows(personSize) - 8}:0:4,scale=1:1:flags=area,format=rgb24`;
  const args = ['-v', 'error', '-i', file, '-vf', filter, '-f', 'rawvideo', '-'];
  const { stdout } = await promisify(execFile)('ffmpeg', args, { encoding: 'buffer', maxBuffer: 1_000_000 });
  const middle = 3 * Math.floor(stdout.length / 6);
  const [red = 0, green = 0, blue = 0] = stdout.subarray(middle, middle + 3);
  if (red > green && red > blue) return 'red';
  return green > blue ? 'lime' : 'blue';
}

/** What is done to the sound and the picture of a recording, read back from the files: each setting by itself or with others. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import type {
  AudioChange,
  AudioTreatment,
  Overlay,
  RecordingConfig,
  VideoChange,
} from '../../src/recordings/config.js';
import { probe } from '../../worker/ffmpeg/probe.js';
import { sendCommand } from '../../worker/host/client.js';
import { cardMaster, masterSize, secondTrackHz, wideSize } from '../testkit/card-master.js';
import { beepHz, type Size, toneHz } from '../testkit/media-card.js';
import { readFrames, readOffsets, readSound, type Sound } from '../testkit/media-read.js';
import { toneShares } from '../testkit/people-read.js';
import { differingArea, readH264, readPackets, readPicture } from '../testkit/picture-read.js';
import { usualAudio, usualVideo } from '../testkit/recording-config.js';
import type { SenderOptions } from '../testkit/senders.js';
import { type LiveSource, liveSource, makeFiles, outputOf, recordFrom } from '../testkit/streams.js';

const run = promisify(execFile);
const cardHz = 30;
/** Pictures at the end of what was sent that B-frames, or a network that ends, may keep back. */
const openPictures = 8;
/** Where in the card the second sender begins; and a number that it begins behind, at the key frame before. */
const fromSecond = 20;
const secondFrom = (fromSecond - 2) * cardHz;
const noAudioChange: AudioChange = { track: 0, channels: null, downmix: null, gain: 0 };
const noVideoChange: VideoChange = { deinterlace: false, crop: null, rotate: 0, scale: null, fps: null };

type Wish = Partial<Pick<RecordingConfig, 'video' | 'audio' | 'audioChange' | 'videoChange' | 'overlay'>> & {
  variant?: SenderOptions['variant'];
};

/** Records the card once for each wish, all at the same time; answers a file of each. */
async function record<Name extends string>(wishes: Record<Name, Wish>, ms: number): Promise<Record<Name, string>> {
  const names = Object.keys(wishes) as Name[];
  // Hosts wait for media no longer than they are told to.
  for (const name of names) await cardMaster(wishes[name].variant);
  const hosts = await Promise.all(
    names.map(async (name) => {
      const { variant, ...wish } = wishes[name];
      const source = await liveSource({ type: 'UDP', ...(variant ? { variant } : {}) });
      return recordFrom(source, wish);
    }),
  );
  await Promise.all(hosts.map((host) => host.recordedFor(ms)));
  await Promise.all(hosts.map((host) => sendCommand(host.identity, { command: 'stop' })));
  const made: [Name, string][] = [];
  for (const [index, host] of hosts.entries()) {
    expect(await host.outcome()).toEqual({ kind: 'stopped' });
    const { files } = await makeFiles(host, outputOf('MKV'));
    const file = files.find((each) => each.endsWith('.mkv'));
    made.push([names[index] as Name, file as string]);
  }
  return Object.fromEntries(made) as Record<Name, string>;
}

const facts = (file: string) => probe(file, { ffprobe: 'ffprobe' });

/** Root mean square of a channel, decibel of full scale. */
function levelOf(samples: Float32Array): number {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  return 10 * Math.log10(power);
}

/** Whether the tone goes on, and the beep comes each second, in the left channel and in the right. */
function heardIn(sound: Sound): { left: string[]; right: string[] } {
  const heard = (samples: Float32Array) => {
    const [tone, beep] = toneShares({ ...sound, left: samples }, [toneHz, beepHz]) as [number, number];
    return [...(tone > 0.9 ? ['tone'] : []), ...(beep > 0.03 ? ['beep'] : [])];
  };
  return { left: heard(sound.left), right: heard(sound.right) };
}

/** A picture turned or scaled back to how the card reads it. */
async function turnedBack(file: string, filter: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-turned-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const turned = join(folder, 'turned.mkv');
  await run('ffmpeg', ['-nostdin', '-v', 'error', '-i', file, '-vf', filter, '-an', '-c:v', 'ffv1', turned]);
  return turned;
}

async function numbersIn(file: string, size: Size): Promise<(number | null)[]> {
  return (await readFrames(file, size)).map(({ number }) => number);
}

/** Every picture of the card can be read, each `step` further than the one before. */
async function expectNumbers(file: string, size: Size, step = 1): Promise<void> {
  const numbers = (await numbersIn(file, size)).slice(0, -openPictures) as number[];
  expect(numbers.length).toBeGreaterThan(30);
  expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] as number) + index * step));
}

test('sound is picked, mixed, made quieter and encoded as it was asked for', async () => {
  const sound = (codec: (typeof usualAudio | { codec: string })['codec'], more = {}) =>
    ({ ...usualAudio, codec, ...more }) as AudioTreatment;
  const change = (more: Partial<AudioChange>): AudioChange => ({ ...noAudioChange, ...more });
  const made = await record(
    {
      swapped: { audio: sound('AAC'), audioChange: change({ channels: [2, 1] }) },
      second: { audio: sound('MP3', { bitrate: 192_000 }), audioChange: change({ channels: [2] }) },
      mixed: { audio: sound('OPUS', { sampleRate: 48_000 }), audioChange: change({ downmix: 'MONO' }) },
      quiet: { audio: sound('PCM', { sampleRate: 32_000 }), audioChange: change({ gain: -20 }) },
      'other track': { variant: 'two', audio: sound('AC3', { sampleRate: 48_000 }), audioChange: change({ track: 1 }) },
      'no sound': { audio: { mode: 'NONE' } },
      'no picture': { video: { mode: 'NONE' }, audio: sound('AAC', { sampleRate: 22_050, bitrate: 64_000 }) },
      'never had sound': { variant: 'video', audio: sound('AAC') },
    },
    4_000,
  );
  const audioOf = async (name: keyof typeof made) => (await facts(made[name])).audio;
  expect(await audioOf('swapped')).toEqual({ codec: 'aac', sampleRate: 44_100, channels: 2 });
  expect(await audioOf('second')).toEqual({ codec: 'mp3', sampleRate: 44_100, channels: 1 });
  expect(await audioOf('mixed')).toEqual({ codec: 'opus', sampleRate: 48_000, channels: 1 });
  expect(await audioOf('quiet')).toEqual({ codec: 'pcm_s16le', sampleRate: 32_000, channels: 2 });
  expect(await audioOf('other track')).toMatchObject({ codec: 'ac3', sampleRate: 48_000 });
  expect(await audioOf('no picture')).toEqual({ codec: 'aac', sampleRate: 22_050, channels: 2 });

  for (const name of ['no sound', 'never had sound'] as const) {
    expect(await audioOf(name), name).toBeNull();
    await expectNumbers(made[name], masterSize);
  }
  expect((await facts(made['no picture'])).video).toBeNull();
  for (const name of ['second', 'no picture'] as const) {
    const packets = await readPackets(made[name], 'a');
    const seconds = ((packets.at(-1)?.atMs as number) - (packets[0]?.atMs as number)) / 1_000;
    const bitrate = (packets.reduce((sum, { bytes }) => sum + bytes, 0) * 8) / seconds;
    expect(bitrate / (name === 'second' ? 192_000 : 64_000), name).toBeCloseTo(1, 0.7);
  }

  const soundOf = (name: keyof typeof made) => readSound(made[name]);
  expect(heardIn(await soundOf('swapped'))).toEqual({ left: ['beep'], right: ['tone'] });
  expect(heardIn(await soundOf('second'))).toEqual({ left: ['beep'], right: ['beep'] });
  expect(heardIn(await soundOf('mixed'))).toEqual({ left: ['tone', 'beep'], right: ['tone', 'beep'] });
  expect(heardIn(await soundOf('no picture'))).toEqual({ left: ['tone'], right: ['beep'] });
  const other = await soundOf('other track');
  expect(toneShares(other, [secondTrackHz, toneHz])).toEqual([expect.closeTo(1, 1), 0]);
  // The tone is sent with an amplitude of 0.3.
  const sentLevel = 20 * Math.log10(0.3 / Math.SQRT2);
  const quiet = await soundOf('quiet');
  expect(heardIn({ ...quiet, left: quiet.left.map((each) => each * 10), right: quiet.right })).toMatchObject({
    left: ['tone'],
  });
  expect(Math.abs(levelOf(quiet.left) - (sentLevel - 20))).toBeLessThan(1);
});

test('the picture is cropped, turned, scaled and encoded as it was asked for', async () => {
  const video = (more: Partial<typeof usualVideo | Record<string, unknown>>) =>
    ({ ...usualVideo, ...more }) as RecordingConfig['video'];
  const change = (more: Partial<VideoChange>): VideoChange => ({ ...noVideoChange, ...more });
  const half: Size = { width: 320, height: 120 };
  const made = await record(
    {
      // What the crop leaves is the lower half, with what machines read.
      cropped: {
        video: video({ forceKeyFrames: 1.5, pixelFormat: 'yuv420p10le' }),
        videoChange: change({
          ...{ crop: { x: 0, y: 120, ...half }, rotate: 180, scale: { width: 640, height: 240 }, fps: 15 },
        }),
      },
      right: {
        video: video({
          ...{ pixelFormat: 'yuv422p', forceKeyFrames: null, gop: 20, crf: 24, slices: 4, cores: 2, tune: 'film' },
          ...{ preset: 'superfast' },
        }),
        videoChange: change({ rotate: 90 }),
      },
      left: {
        video: video({ width: 480, filterFps: 10, pixelFormat: 'yuv444p' }),
        videoChange: change({ rotate: 270 }),
      },
      steady: { video: video({ bitrate: 400_000, encodingRate: 60, width: 640, height: 480 }) },
      fields: { variant: 'fields', video: video({}) },
      deinterlaced: { variant: 'fields', video: video({}), videoChange: change({ deinterlace: true }) },
    },
    6_000,
  );
  const videoOf = async (name: keyof typeof made) => (await facts(made[name])).video;
  expect(await videoOf('cropped')).toMatchObject({ width: 640, height: 240, pixelFormat: 'yuv420p10le', fps: 15 });
  expect(await videoOf('right')).toMatchObject({ width: 240, height: 320, pixelFormat: 'yuv422p', fps: 30 });
  expect(await videoOf('left')).toMatchObject({ width: 480, height: 640, pixelFormat: 'yuv444p', fps: 10 });
  expect(await videoOf('steady')).toMatchObject({ width: 640, height: 480, pixelFormat: 'yuv420p', fps: 60 });

  await expectNumbers(await turnedBack(made.cropped, 'hflip,vflip,scale=320:120:flags=area'), half, 2);
  await expectNumbers(await turnedBack(made.right, 'transpose=cclock'), masterSize);
  await expectNumbers(await turnedBack(made.left, 'transpose=clock,scale=320:240:flags=area'), masterSize, 3);
  expect(new Set(await numbersIn(await turnedBack(made.steady, 'scale=320:240:flags=area'), masterSize))).not.toContain(
    null,
  );

  // Not one more and not one less.
  const cropped = await readPackets(made.cropped, 'v');
  const keyTimes = cropped.filter(({ isKey }) => isKey).map(({ atMs }) => atMs);
  expect(keyTimes.length).toBeGreaterThan(3);
  for (const [index, atMs] of keyTimes.entries())
    expect(Math.abs(atMs - (keyTimes[0] as number) - index * 1_500), `${keyTimes}`).toBeLessThan(70);
  const right = await readPackets(made.right, 'v');
  const keys = right.flatMap(({ isKey }, index) => (isKey ? [index] : []));
  expect(Math.max(...keys.map((key, index) => key - (keys[index - 1] ?? 0)))).toBeLessThanOrEqual(20);
  expect(keys.length).toBeGreaterThanOrEqual(right.length / 20);

  const { slices, options } = await readH264(made.right);
  expect(slices).toBe(right.length * 4);
  // The film's softer deblocking, and what the preset does that the usual one does not.
  for (const option of ['threads=2', 'slices=4', 'keyint=20', 'crf=24.0', 'deblock=1:-1:-1', 'cabac=1'])
    expect(options.split(' ')).toContain(option);

  // From when the encoder has found how much it may spend.
  const steady = (await readPackets(made.steady, 'v')).filter(({ atMs }) => atMs >= 2_000);
  const seconds = ((steady.at(-1)?.atMs as number) - (steady[0]?.atMs as number)) / 1_000;
  const bitrate = (steady.reduce((sum, { bytes }) => sum + bytes, 0) * 8) / seconds;
  expect(Math.abs(bitrate / 400_000 - 1), `${bitrate}`).toBeLessThan(0.2);

  const [fields, whole] = [await interlaced(made.fields), await interlaced(made.deinterlaced)];
  expect(fields).toBeGreaterThan(0.8);
  expect(whole).toBeLessThan(0.2);
});

/** Share of the pictures that show the lines of two. */
async function interlaced(file: string): Promise<number> {
  const { stderr } = await run('ffmpeg', ['-nostdin', '-i', file, '-vf', 'idet', '-an', '-f', 'null', '-']);
  const [, top, bottom, progressive] = (/Multi frame detection: TFF: *(\d+) BFF: *(\d+) Progressive: *(\d+)/.exec(
    stderr,
  ) ?? []) as unknown as number[];
  return (Number(top) + Number(bottom)) / (Number(top) + Number(bottom) + Number(progressive));
}

const hostile = `'%{pts}:\\,[in];drawtext=x "{\\n}" äß€ Ж 🎬`;

/** The text as another way of ffmpeg's writes it, white on black. */
async function writtenText(text: string, at: { x: number; y: number; fontSize: number }, size: Size) {
  const option = text.replace(/[\\':]/g, (sign) => `\\${sign}`);
  const escaped = option.replace(/[\\'[\],;]/g, (sign) => `\\${sign}`);
  const look = `font=Sans:fontsize=${at.fontSize}:fontcolor=white:x=${at.x}:y=${at.y}`;
  const file = `color=black:s=${size.width}x${size.height}:r=1:d=1,format=rgb24,drawtext=text=${escaped}:expansion=none:${look}`;
  const { stdout } = await run('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', file, '-f', 'rawvideo', '-'], {
    encoding: 'buffer',
    maxBuffer: 1 << 26,
  });
  return { ...size, rgb: stdout };
}

/** Of a recorded picture, and the picture of the card that was sent. */
async function withSent(file: string, size: Size, turn: (size: Size) => Promise<(number | null)[]>) {
  const index = 30;
  const number = (await turn(size))[index] as number;
  expect(number).toEqual(expect.any(Number));
  return [await readPicture(file, index, size), await readPicture(await cardMaster(), number, size)] as const;
}

test('text and images are laid over the picture at their place, as they are, and nothing else is', async () => {
  const crisp = { ...usualVideo, crf: 8, bitrate: 20_000_000, preset: 'veryfast' } as const;
  const at = { x: 12, y: 70, fontSize: 14 };
  const large: Size = { width: 640, height: 480 };
  const image = { x: 400, y: 90, width: 80, height: 60 };
  const { stdout: png } = await run(
    'ffmpeg',
    [...'-v error -f lavfi -i color=0x00ff00:s=80x60 -frames:v 1 -c:v png -f image2pipe -'.split(' ')],
    { encoding: 'buffer' },
  );
  const text: Overlay = {
    ...{ x: at.x, y: at.y, opacity: 0.5 },
    content: { kind: 'TEXT', text: hostile, size: at.fontSize, color: 'ffffff' },
  };
  const made = await record(
    {
      text: { video: crisp, overlay: text },
      image: {
        video: { ...crisp, ...large },
        overlay: {
          ...{ x: image.x, y: image.y, opacity: 0.5 },
          content: { kind: 'IMAGE', image: png.toString('base64') },
        },
      },
    },
    3_000,
  );

  const [shown, sent] = await withSent(made.text, masterSize, (size) => numbersIn(made.text, size));
  const written = await writtenText(hostile, at, masterSize);
  const ink = differingArea(written, { ...masterSize, rgb: Buffer.alloc(written.rgb.length) }, 60);
  // About as wide as so many letters are.
  expect(ink?.width).toBeGreaterThan(hostile.length * 4);
  const changed = differingArea(shown, sent, 40);
  const outside = JSON.stringify({ changed, ink });
  if (!changed || !ink) throw new Error(`Nothing is written. ${outside}`);
  expect(changed.width, outside).toBeGreaterThan(ink.width * 0.8);
  expect(changed.x, outside).toBeGreaterThanOrEqual(ink.x - 3);
  expect(changed.y, outside).toBeGreaterThanOrEqual(ink.y - 3);
  expect(changed.x + changed.width, outside).toBeLessThanOrEqual(ink.x + ink.width + 3);
  expect(changed.y + changed.height, outside).toBeLessThanOrEqual(ink.y + ink.height + 3);
  let inked = 0;
  let wrong = 0;
  for (let at = 0; at < written.rgb.length; at += 3) {
    const cover = (written.rgb[at] as number) / 255;
    // Brightness, which codecs keep for each pixel.
    const light = ({ rgb }: { rgb: Buffer }) =>
      0.3 * (rgb[at] as number) + 0.59 * (rgb[at + 1] as number) + 0.11 * (rgb[at + 2] as number);
    const expected = light(sent) * (1 - cover / 2) + 255 * (cover / 2);
    if (cover > 0.5) inked += 1;
    if (Math.abs(light(shown) - expected) > 30) wrong += 1;
  }
  expect(inked).toBeGreaterThan(300);
  expect(wrong / inked).toBeLessThan(0.05);

  const scaled = await turnedBack(made.image, 'scale=320:240:flags=area');
  const [laid, below] = await withSent(made.image, large, () => numbersIn(scaled, masterSize));
  const place = differingArea(laid, below, 45);
  for (const side of ['x', 'y', 'width', 'height'] as const)
    expect(Math.abs((place?.[side] ?? -100) - image[side]), JSON.stringify(place)).toBeLessThan(5);
  const green = [0, 255, 0];
  let off = 0;
  for (let y = image.y + 4; y < image.y + image.height - 4; y++) {
    for (let x = image.x + 4; x < image.x + image.width - 4; x++) {
      for (const [colour, value] of green.entries()) {
        const pixel = (y * large.width + x) * 3 + colour;
        off += Math.abs((laid.rgb[pixel] as number) - ((below.rgb[pixel] as number) + value) / 2);
      }
    }
  }
  expect(off / (72 * 52 * 3)).toBeLessThan(10);
});

/** Sends the card, and then without a pause something else from the second after. */
async function sendOn(source: LiveSource, more: { variant?: SenderOptions['variant']; fromSecond: number }) {
  // In good order: a picture that was cut off would be one that no player likes.
  await source.stop();
  await source.start(more);
}

async function recordThrough(wishes: Wish[], more: { variant?: SenderOptions['variant']; fromSecond: number }) {
  for (const variant of ['card', more.variant] as const) await cardMaster(variant);
  const sources = await Promise.all(wishes.map(() => liveSource({ type: 'UDP' })));
  const hosts = await Promise.all(sources.map((source, index) => recordFrom(source, wishes[index])));
  await Promise.all(hosts.map((host) => host.recordedFor(4_000)));
  await Promise.all(sources.map((source) => sendOn(source, more)));
  await Promise.all(hosts.map((host) => host.recordedFor(4_500)));
  await Promise.all(hosts.map((host) => sendCommand(host.identity, { command: 'stop' })));
  for (const host of hosts) expect(await host.outcome()).toEqual({ kind: 'stopped' });
  return hosts;
}

/** Without a hole but where another sender began; answers how many pictures came before and after that. */
function expectRuns(numbers: readonly (number | null)[]): [number, number] {
  const back = numbers.findIndex((number) => (number ?? 0) >= secondFrom);
  const runs = [numbers.slice(0, back), numbers.slice(back)] as const;
  for (const each of runs) {
    const whole = each.slice(0, -openPictures);
    expect(whole).toEqual(whole.map((_, index) => (each[0] as number) + index));
  }
  return [runs[0].length, runs[1].length];
}

test('pictures that change their size go on in one file where they are encoded, and in one of each size where they are copied', async () => {
  const image = (
    await run('ffmpeg', '-v error -f lavfi -i color=red:s=16x16 -frames:v 1 -c:v png -f image2pipe -'.split(' '), {
      encoding: 'buffer',
    })
  ).stdout.toString('base64');
  const overlay: Overlay = { x: 4, y: 60, opacity: 1, content: { kind: 'IMAGE', image } };
  const [copied, encoded, overlaid] = await recordThrough(
    [{}, { video: usualVideo, audio: usualAudio }, { video: usualVideo, overlay }],
    { variant: 'wide', fromSecond },
  );
  for (const host of [encoded, overlaid] as NonNullable<typeof encoded>[]) {
    expect(host.manifest().filter(({ type }) => type === 'part-ended')).toHaveLength(1);
    const { files } = await makeFiles(host, outputOf('MP4'));
    const videos = files.filter((each) => each.endsWith('.mp4'));
    expect(videos).toHaveLength(1);
    const video = videos[0] as string;
    expect((await facts(video)).video).toMatchObject(masterSize);
    const small = await numbersIn(video, masterSize);
    const wide = await numbersIn(await turnedBack(video, 'scale=480:270'), wideSize);
    const changedAt = small.indexOf(null);
    const numbers = [...small.slice(0, changedAt), ...wide.slice(changedAt)];
    const [before, after] = expectRuns(numbers);
    expect(before).toBeGreaterThan(3 * cardHz);
    expect(after).toBeGreaterThan(3 * cardHz);
  }

  if (!copied) throw new Error('There is no host.');
  // One part: it is when files are made of it that the change is found.
  expect(copied.manifest().filter(({ type }) => type === 'part-started')).toHaveLength(1);
  const { outcome, files } = await makeFiles(copied, outputOf('MP4'));
  const videos = files.filter((each) => each.endsWith('.mp4'));
  expect(videos).toHaveLength(2);
  const found = await Promise.all(videos.map(async (file) => ({ file, video: (await facts(file)).video })));
  for (const [size, from] of [
    [masterSize, 0],
    [wideSize, secondFrom],
  ] as const) {
    const file = found.find(({ video }) => video?.width === size.width && video.height === size.height)?.file as string;
    const { stderr } = await run('ffmpeg', ['-nostdin', '-v', 'warning', '-xerror', '-i', file, '-f', 'null', '-']);
    expect(stderr).toBe('');
    const numbers = await numbersIn(file, size);
    const whole = numbers.slice(0, -openPictures);
    expect(whole.length).toBeGreaterThan(3 * cardHz);
    expect(whole).toEqual(whole.map((_, index) => (numbers[0] as number) + index));
    expect(numbers[0]).toBeGreaterThanOrEqual(from);
    const offsets = readOffsets(await readFrames(file, size), await readSound(file));
    expect(offsets.length).toBeGreaterThan(1);
    for (const { offsetMs } of offsets) expect(Math.abs(offsetMs)).toBeLessThan(40);
    // No picture of another size is in it.
    const sizes = await run(
      'ffprobe',
      `-v error -select_streams v -show_entries frame=width,height -of csv=p=0`.split(' ').concat(file),
    );
    expect([...new Set(sizes.stdout.match(/\d+,\d+/g))]).toEqual([`${size.width},${size.height}`]);
  }
  expect(outcome.recordedMs).toBeGreaterThan(7_000);

  // Pieces have one size each.
  const split = await makeFiles(copied, { ...outputOf('MP4'), splitMs: 3_000 }, 2);
  const sizes = await Promise.all(
    split.files.filter((each) => each.endsWith('.mp4')).map(async (file) => (await facts(file)).video?.width),
  );
  expect(sizes).toEqual([...sizes].sort());
  expect(new Set(sizes)).toEqual(new Set([masterSize.width, wideSize.width]));
});

test('a sender that begins anew within a second loses nothing of what it sent, and sound and picture stay together', async () => {
  const hosts = await recordThrough([{}, { video: usualVideo, audio: usualAudio }], { fromSecond });
  for (const host of hosts) {
    const { files } = await makeFiles(host, outputOf('MP4'));
    const [file, ...others] = files.filter((each) => each.endsWith('.mp4'));
    expect(others).toEqual([]);
    const frames = await readFrames(file as string, masterSize);
    expectRuns(frames.map(({ number }) => number));
    const jumpMs = frames.find(({ number }) => (number ?? 0) >= secondFrom)?.ptsMs as number;
    const offsets = readOffsets(frames, await readSound(file as string));
    for (const side of [offsets.filter(({ atMs }) => atMs < jumpMs), offsets.filter(({ atMs }) => atMs >= jumpMs)]) {
      expect(side.length).toBeGreaterThan(1);
      for (const { offsetMs } of side) expect(Math.abs(offsetMs), JSON.stringify(offsets)).toBeLessThan(40);
    }
  }
});

/** Reads back what a recording shows and sounds like: frame numbers, flashes, beeps and the steady tone. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { cardGeometry, cells, decodeStrip, type Size, toneHz } from './media-card.js';

export interface CardFrame {
  /** Presentation time in the file. */
  ptsMs: number;
  /** What the strip shows; null when it cannot be read. */
  number: number | null;
  flash: boolean;
}

export interface Sound {
  sampleRate: number;
  /** One entry a decoded block, in order: when it begins, and where its samples are in `left` and `right`. */
  blocks: { ptsMs: number; from: number; samples: number }[];
  left: Float32Array;
  right: Float32Array;
}

export interface Tone {
  /** Share of the file's sound in which the tone is heard. */
  heardShare: number;
  /** Where samples are missing or doubled: the tone's phase jumps. */
  jumpsMs: number[];
}

/** Every decoded picture of a recording of the card, in order of presentation; of a card of this size that fills `area` only. */
export async function readFrames(
  file: string,
  size: Size,
  area?: Size & { x: number; y: number },
): Promise<CardFrame[]> {
  const card = cardGeometry(size);
  const strip = `crop=${card.stripWidth}:${card.stripHeight}:0:${card.stripTop},scale=${cells}:1:flags=area`;
  const flash = `crop=${size.width}:${card.flashHeight}:0:${card.flashTop},scale=1:1:flags=area`;
  const cut = area
    ? `crop=${area.width}:${area.height}:${area.x}:${area.y}:exact=1,scale=${size.width}:${size.height}:flags=area,`
    : '';
  const graph = `format=gray,${cut}split[a][b];[a]${strip}[strip];[b]${flash}[flash];[strip][flash]hstack,showinfo`;
  const { data, pts } = await decode(file, ['-vf', graph, '-fps_mode', 'passthrough', '-f', 'rawvideo']);
  const stride = cells + 1;
  return pts.map(({ ptsMs }, index) => {
    const row = data.subarray(index * stride, (index + 1) * stride);
    const lit = [...row.subarray(0, cells)].map((luma) => luma > 127);
    return { ptsMs, number: decodeStrip(lit), flash: (row[cells] ?? 0) > 127 };
  });
}

/** The decoded sound with its time stamps. */
export async function readSound(file: string): Promise<Sound> {
  const { data, pts, sampleRate } = await decode(file, ['-af', 'ashowinfo', '-f', 'f32le', '-ac', '2']);
  const interleaved = new Float32Array(data.buffer, data.byteOffset, data.byteLength >> 2);
  const length = interleaved.length >> 1;
  const left = new Float32Array(length);
  const right = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    left[i] = interleaved[2 * i] as number;
    right[i] = interleaved[2 * i + 1] as number;
  }
  let from = 0;
  const blocks = pts.map(({ ptsMs, samples }) => {
    const block = { ptsMs, from, samples };
    from += samples;
    return block;
  });
  return { sampleRate, blocks, left, right };
}

/** Listens for the tone in the left channel, 20 ms at a time. */
export function readTone({ blocks, left, sampleRate }: Sound): Tone {
  const window = Math.round(sampleRate / 50);
  const step = (2 * Math.PI * toneHz) / sampleRate;
  let heard = 0;
  let windows = 0;
  let lastPhase: number | null = null;
  const jumpsMs: number[] = [];
  for (let from = 0; from + window <= left.length; from += window) {
    let real = 0;
    let imaginary = 0;
    let power = 0;
    for (let i = from; i < from + window; i++) {
      const sample = left[i] as number;
      real += sample * Math.cos(step * i);
      imaginary -= sample * Math.sin(step * i);
      power += sample * sample;
    }
    windows++;
    // A pure tone gives 1: all of the window's power is at its frequency. -50 dB counts as silence.
    const purity = (2 * (real * real + imaginary * imaginary)) / (window * Math.max(power, 1e-9));
    if (power / window < 1e-5 || purity < 0.8) {
      lastPhase = null;
      continue;
    }
    heard++;
    const phase = Math.atan2(imaginary, real);
    if (lastPhase !== null) {
      const turn = Math.abs(Math.atan2(Math.sin(phase - lastPhase), Math.cos(phase - lastPhase)));
      // One lost AAC block turns the phase by 2 radians; resampling between clocks by less than 0.1.
      if (turn > 0.5) jumpsMs.push(timeOf(from, blocks, sampleRate));
    }
    lastPhase = phase;
  }
  return { heardShare: windows === 0 ? 0 : heard / windows, jumpsMs };
}

/** When beeps begin in the right channel. */
export function readBeeps({ blocks, right, sampleRate }: Sound): number[] {
  let peak = 0;
  for (const sample of right) peak = Math.max(peak, Math.abs(sample));
  if (peak < 0.02) return [];
  const onsets: number[] = [];
  // The beep lasts 50 ms: what follows within 300 ms belongs to it.
  const quiet = sampleRate * 0.3;
  let lastLoud = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < right.length; i++) {
    if (Math.abs(right[i] as number) < peak / 3) continue;
    if (i - lastLoud > quiet && i > quiet) onsets.push(timeOf(i, blocks, sampleRate));
    lastLoud = i;
  }
  return onsets;
}

/** The frames that a flash begins with. */
export function flashesIn(frames: readonly CardFrame[]): CardFrame[] {
  return frames.filter(({ flash }, index) => flash && frames[index - 1]?.flash === false);
}

/** Beep minus flash for each second that has both, milliseconds; positive means the sound comes late. */
export function readBeepsAndFlashes(frames: readonly CardFrame[], sound: Sound): number[] {
  return readOffsets(frames, sound).map(({ offsetMs }) => offsetMs);
}

/** The same, with the time in the file of each. */
export function readOffsets(frames: readonly CardFrame[], sound: Sound): { atMs: number; offsetMs: number }[] {
  const flashes = flashesIn(frames);
  return readBeeps(sound).flatMap((atMs) => {
    const offsets = flashes.map(({ ptsMs }) => atMs - ptsMs).filter((offset) => Math.abs(offset) < 400);
    const [offsetMs] = offsets.sort((a, b) => Math.abs(a) - Math.abs(b));
    return offsetMs === undefined ? [] : [{ atMs, offsetMs }];
  });
}

function timeOf(sample: number, blocks: Sound['blocks'], sampleRate: number): number {
  let low = 0;
  let high = blocks.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((blocks[middle] as { from: number }).from <= sample) low = middle;
    else high = middle - 1;
  }
  const block = blocks[low];
  return block ? block.ptsMs + ((sample - block.from) * 1000) / sampleRate : 0;
}

/** Decodes to raw data; the time stamps come from (a)showinfo, in whole ticks, since its seconds are rounded to 6 digits. */
async function decode(file: string, output: string[]) {
  const args = ['-nostdin', '-hide_banner', '-v', 'info', '-nostats', '-copyts', '-i', file, ...output, '-'];
  const child = spawn('ffmpeg', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const pts: { ptsMs: number; samples: number }[] = [];
  let tickMs = 0;
  let sampleRate = 0;
  const messages: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (!line.includes('showinfo')) messages.push(line);
    const base = /config in time_base: (\d+)\/(\d+)/.exec(line);
    if (base) tickMs = (1000 * Number(base[1])) / Number(base[2]);
    const shown = / n: *\d+ pts: *(-?\d+) /.exec(line);
    if (!shown) return;
    sampleRate = Number(/ rate:(\d+)/.exec(line)?.[1] ?? 0);
    // The filter of sounds names no time base: it is one sample.
    const ticks = tickMs || 1000 / sampleRate;
    pts.push({ ptsMs: Number(shown[1]) * ticks, samples: Number(/ nb_samples:(\d+)/.exec(line)?.[1] ?? 0) });
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0)
    throw new Error(`ffmpeg could not decode ${file} (status ${code}):\n${messages.slice(-20).join('\n')}`);
  return { data: Buffer.concat(chunks), pts, sampleRate };
}

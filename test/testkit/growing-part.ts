/** A part that grows as a recorder's does, made by ffmpeg from the test card alone. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { partFile } from '../../src/jobs/capture.js';
import { cardInputs } from './media-card.js';

const size = { width: 480, height: 270 };

export interface GrowingParts {
  folder: string;
  file(part: number): string;
  bytes(part: number): number;
  /** Writes a part in real time from this second of the card on, until it is stopped. */
  begin(part: number, fromSecond?: number): void;
  /** Closes the part. */
  stop(): Promise<void>;
}

/** A folder for parts, and an encoder for one after the other. Both are gone after the test. */
export function growingParts(): GrowingParts {
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-parts-'));
  let encoder: ChildProcess | null = null;
  const stop = async (signal: NodeJS.Signals) => {
    const running = encoder;
    encoder = null;
    if (!running || running.exitCode !== null) return;
    const gone = new Promise((resolve) => running.once('exit', resolve));
    running.kill(signal);
    await gone;
  };
  onTestFinished(async () => {
    await stop('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  const file = (part: number) => join(folder, partFile(part));
  return {
    folder,
    file,
    bytes: (part) => statSync(file(part), { throwIfNoEntry: false })?.size ?? 0,
    begin(part, fromSecond = 0) {
      const inputs = cardInputs(size, fromSecond * 30);
      const paced = inputs.flatMap((word) => (word === '-f' ? ['-re', '-f'] : [word]));
      const args = [
        ...['-hide_banner', '-loglevel', 'error', '-nostdin', '-y', ...paced],
        ...['-c:v', 'libx264', '-preset', 'veryfast', '-crf', '23', '-g', '60', '-pix_fmt', 'yuv420p'],
        ...['-c:a', 'aac', '-b:a', '128k', '-ar', '48000', '-ac', '2'],
        ...['-f', 'matroska', '-cluster_time_limit', '250', '-flush_packets', '1', file(part)],
      ];
      encoder = spawn('ffmpeg', args, { stdio: 'ignore' });
    },
    stop: () => stop('SIGINT'),
  };
}

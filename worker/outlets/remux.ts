/** An ffmpeg that puts a growing part into another container, without touching the media. */
import type { Readable, Writable } from 'node:stream';
import { strangerEnvironment } from '../../src/config.js';
import { startChild } from '../capture/child.js';
import { feedPart } from './feed.js';
import type { OpenPart } from './part-line.js';

const lastWordsLength = 500;
// Enough for the decoder's delay to be found out, which the times of pictures are made of; a second of media would do.
const probing = ['-probesize', '2000000', '-analyzeduration', '1000000'];

export interface RemuxOptions {
  ffmpeg: string;
  part: OpenPart;
  from: 'start' | 'newest';
  /** What to make of it. */
  output: readonly string[];
  signal: AbortSignal;
}

/**
 * Runs until the part is closed and everything of it has come out. `consume` reads what the program prints; when it fails,
 * or the signal is aborted, the program is killed. Throws what `consume` throws, the signal's reason, or Error with the
 * program's last words.
 */
export async function remuxPart(options: RemuxOptions, consume: (output: Readable) => Promise<void>): Promise<void> {
  const { ffmpeg, part, from, output } = options;
  const child = await startChild({
    command: ffmpeg,
    args: ['-hide_banner', '-loglevel', 'error', '-f', 'matroska', ...probing, '-i', 'pipe:0', ...output],
    user: null,
    env: strangerEnvironment(),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const { stdin, stdout, stderr } = child.process as { stdin: Writable; stdout: Readable; stderr: Readable };
  let lastWords = '';
  stderr.setEncoding('utf8').on('data', (text: string) => {
    lastWords = (lastWords + text).slice(-lastWordsLength);
  });
  // It may die while it is fed; how it ended says more.
  stdin.on('error', () => {});
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const kill = () => child.process.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  try {
    signal.throwIfAborted();
    const feeding = feedPart({ part, sink: stdin, from, signal });
    const fed = feeding.then(
      () => true,
      () => false,
    );
    await consume(stdout);
    const { code, signal: endedBy } = await child.exited;
    options.signal.throwIfAborted();
    if (code === 0 && (await fed)) return;
    throw new Error(`The program that remuxes ended with ${endedBy ?? `status ${code}`}. ${lastWords.trim()}`);
  } finally {
    stop.abort(new Error('The remuxing is over.'));
    kill();
    await child.exited;
  }
}

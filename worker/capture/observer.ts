/** Looks at the picture and listens to the sound once a second, apart from the encoder: neither can hold up the other. */
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { type CaptureInput, captureEnvironment } from '../ffmpeg/command.js';
import { type Child, startChild } from './child.js';

// Samples come every second; without any for so long it hangs, or the display does.
const silenceLimitMs = 10_000;
const restartMs = 5_000;
const lookMs = 1_000;
// Of 256, in limited range where 16 is black: a page in the darkest grey that designers use is above it.
const blackThreshold = 24;

export interface ObserverOptions {
  ffmpeg: string;
  input: CaptureInput;
  /** A folder the sound client may use as its home. */
  home: string;
  /** Share of the picture that is black, 0 to 100. */
  onPicture: (blackPercent: number) => void;
  /** The loudest sample of the last second, dBFS; -Infinity for silence. */
  onSound: (peak: number) => void;
}

export interface Observer {
  /** Resolves when its process is gone. */
  close(): Promise<void>;
}

/** Observes until closed. A process that dies or hangs is started again after 5 s. Costs about 1.2 % of a core at 720p. */
export function startObserver(options: ObserverOptions): Observer {
  let child: Child | null = null;
  let heardAt = performance.now();
  let isClosed = false;
  let retry: NodeJS.Timeout | undefined;
  let starting = start();
  const look = setInterval(() => {
    if (performance.now() - heardAt > silenceLimitMs) void child?.stop('SIGKILL', 0);
  }, lookMs);
  return {
    async close() {
      isClosed = true;
      clearInterval(look);
      clearTimeout(retry);
      await starting;
      await child?.stop('SIGKILL', 0);
    },
  };

  async function start(): Promise<void> {
    heardAt = performance.now();
    const { input, home } = options;
    const started = await startChild({
      command: options.ffmpeg,
      args: observerArguments(input),
      user: null,
      env: captureEnvironment(input, home),
      stdio: ['ignore', 'pipe', 'ignore'],
    }).catch(() => null);
    child = started;
    if (started) {
      createInterface({ input: started.process.stdout as Readable }).on('line', (line) => {
        heardAt = performance.now();
        if (!isClosed) tell(line);
      });
    }
    void (started?.exited ?? Promise.resolve()).then(again);
  }

  function again(): void {
    if (isClosed) return;
    retry = setTimeout(() => {
      starting = start();
    }, restartMs);
  }

  function tell(line: string): void {
    const [, key, value] = /^lavfi\.(blackframe\.pblack|astats\.Overall\.Peak_level)=(\S+)/.exec(line) ?? [];
    if (key === 'blackframe.pblack') options.onPicture(Number(value));
    if (key === 'astats.Overall.Peak_level') options.onSound(value === '-inf' ? -Infinity : Number(value));
  }
}

/** Every sixteenth picture point or so, as it is and not averaged, so that its share of the picture is kept. */
function observerArguments({ width, height, display, soundSource }: CaptureInput): string[] {
  const immediate = ['-probesize', '32', '-analyzeduration', '0', '-thread_queue_size', '64'];
  const picture = `scale=iw/4:ih/4:flags=neighbor,format=gray,blackframe=amount=0:threshold=${blackThreshold}`;
  const sound = 'asetnsamples=48000,astats=metadata=1:reset=1:measure_perchannel=none:measure_overall=Peak_level';
  return [
    ...['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'error'],
    ...['-f', 'pulse', ...immediate, '-fragment_size', '38400', '-i', soundSource],
    ...['-f', 'x11grab', ...immediate, '-draw_mouse', '0', '-framerate', '1'],
    ...['-video_size', `${width}x${height}`, '-i', display],
    ...['-map', '1:v', '-vf', `${picture},metadata=print:file=-:direct=1`, '-f', 'null', '-'],
    ...['-map', '0:a', '-af', `${sound},ametadata=print:file=-:direct=1`, '-f', 'null', '-'],
  ];
}

/** `npm run demo`: starts a stack of its own, records a room, says what came of it, and leaves nothing else behind. */
import { createWriteStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { probe } from '../worker/ffmpeg/probe.js';
import { parseDemoOptions, UsageError } from './demo/options.js';
import { showProgress } from './demo/progress.js';
import { record } from './demo/recording.js';
import { RecordingFailedError } from './demo/recording-failed.js';
import { onInterrupt } from './interrupt.js';
import { isolatedConfig, temporaryDataFolder } from './isolated.js';
import { startStack } from './stack.js';

const shownLogLines = 60;
/** The last frames that fall due at the very end may miss it. */
const shortfallMs = 500;

async function demo(): Promise<void> {
  const options = parseDemoOptions(process.argv.slice(2));
  const { dataDir, remove } = temporaryDataFolder();
  const config = isolatedConfig(dataDir);
  const logFile = join(dataDir, 'stack.log');
  const logStream = createWriteStream(logFile);
  const starting = new AbortController();

  const startedAt = Date.now();
  console.log('Starting the service …');
  const started = startStack({ config, log: (line) => logStream.write(`${line}\n`), signal: starting.signal });
  let ended: Promise<void> | undefined;
  /** Stops the stack and removes its data; the log is shown first when something unforeseen happened. */
  const end = (failure?: unknown) => {
    ended ??= (async () => {
      const stack = await started.catch(() => undefined);
      await stack?.stop();
      await new Promise((resolve) => logStream.end(resolve));
      const unforeseen = failure && !(failure instanceof RecordingFailedError);
      if (unforeseen) console.error(readFileSync(logFile, 'utf8').split('\n').slice(-shownLogLines).join('\n'));
      remove();
    })();
    return ended;
  };
  onInterrupt({
    first: async () => {
      console.error('\nInterrupted; cleaning up.');
      starting.abort(new Error('Interrupted.'));
      await end();
    },
    second: () => {
      void started.then((stack) => stack.abort()).catch(() => {});
      remove();
    },
    exitCode: 130,
  });

  try {
    const stack = await started;
    console.log(`The service is ready after ${((Date.now() - startedAt) / 1000).toFixed(1)} s.`);
    console.log(`Recording ${options.url ?? 'a room with three people in it'} for ${options.seconds} s.`);
    const progress = showProgress(options.seconds, process.stdout);
    const { chromium } = config.recorder;
    const { file, bytes, sha256, early } = await record(stack.url, stack.apiKey, options, chromium, progress).finally(
      () => progress.end(),
    );
    const { format, durationMs, video, audio } = await probe(file, { ffprobe: config.recorder.ffprobe });
    await end();

    console.log(`
  ${file}
  video      ${video?.codec} ${video?.profile}, ${video?.width}x${video?.height}, ${video?.fps.toFixed(2)} fps, ${video?.frames} frames
  audio      ${audio ? `${audio.codec}, ${audio.sampleRate} Hz, ${audio.channels} channels` : 'none'}
  duration   ${(durationMs / 1000).toFixed(3)} s
  size       ${bytes} bytes
  sha256     ${sha256}
`);
    if (early) console.log(`  ${early}\n`);
    else if (durationMs < options.seconds * 1000 - shortfallMs) {
      console.log(
        `  This machine was too busy to record all ${options.seconds} s. Close what else runs and try again.\n`,
      );
    }
    if (options.json) console.log(JSON.stringify({ file, format, durationMs, bytes, sha256, video, audio }));
  } catch (error) {
    // An interrupt says what happened itself, and ends the process when everything is cleaned up.
    if (starting.signal.aborted) return await ended;
    await end(error);
    throw error;
  }
}

try {
  await demo();
  process.exit(0);
} catch (error) {
  const known = error instanceof UsageError || error instanceof RecordingFailedError;
  console.error(`\n${known ? '' : 'The demo failed. '}${error instanceof Error ? error.message : error}`);
  process.exit(1);
}

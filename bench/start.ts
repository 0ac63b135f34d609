/** From the request for an archive to its first recorded frame, through the whole running service. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { childEnvironment, loadConfig } from '../src/config.js';
import { startStack } from '../stack/stack.js';
import { createArchiveKit } from '../test/testkit/archives.js';
import { launchBrowser } from '../worker/capture/browser.js';
import { findBrowserUser, sandboxWorks } from '../worker/capture/browser-user.js';
import { openDisplay } from '../worker/capture/display.js';
import { createScratch } from '../worker/capture/scratch.js';
import { openSound } from '../worker/capture/sound.js';
import { startRecording, stopRecording } from './first-frame.js';
import { type BenchResult, percentile, table } from './result.js';

const limitMs = 60_000;
const size = { width: 1280, height: 720 };

/** About 2 minutes for 10 starts; 3 when quick. */
export async function benchStart(quick: boolean): Promise<BenchResult> {
  const starts = quick ? 3 : 10;
  const launches: number[] = [];
  for (let n = 0; n < starts; n++) launches.push(await browserLaunchMs());

  const dataDir = await mkdtemp(join(tmpdir(), 'tapedeck-bench-'));
  const lines: string[] = [];
  const environment = childEnvironment({
    DATA_DIR: dataDir,
    PORT: '0',
    POSTGRES_PORT: '0',
    TEMPORAL_PORT: '0',
    TEMPORAL_UI_PORT: '0',
  });
  const stack = await startStack({ config: loadConfig(environment), log: (line) => lines.push(line) });
  const kit = createArchiveKit(stack);
  const firstFrames: number[] = [];
  try {
    for (let n = 1; n <= starts; n++) {
      const { archive, tookMs } = await startRecording(kit, size);
      firstFrames.push(tookMs);
      console.log(`start ${n} of ${starts}: ${tookMs} ms`);
      await stopRecording(archive);
    }
  } catch (error) {
    console.error(lines.slice(-30).join('\n'));
    throw error;
  } finally {
    await kit.close();
    await stack.stop();
    await rm(dataDir, { recursive: true, force: true });
  }

  const row = (name: string, values: number[]) => [
    name,
    ...[0.5, 0.95].map((share) => percentile(values, share).toFixed(0)),
  ];
  console.log(
    `\n${table(['ms', 'p50', 'p95'], [row('request to first frame', firstFrames), row('browser launch alone', launches)])}`,
  );
  const [value, floor] = [percentile(firstFrames, 0.5), percentile(launches, 0.5)];
  return {
    ...{ name: 'start', value, unit: 'ms', floor, ratio: value / floor, goal: null, ok: firstFrames.length === starts },
    details: { p95: percentile(firstFrames, 0.95), floorP95: percentile(launches, 0.95), starts },
  };
}

/** A browser with an empty profile on a screen that is there already, until it answers. */
async function browserLaunchMs(): Promise<number> {
  const { recorder } = loadConfig();
  const user = await findBrowserUser(recorder.browserUser);
  const sandbox = await sandboxWorks(user);
  const scratch = createScratch();
  const signal = AbortSignal.timeout(limitMs);
  const display = await openDisplay({ ...size, user, scratch, signal });
  const sound = await openSound({ user, scratch, signal });
  try {
    const startedAt = performance.now();
    // Nothing listens on port 9: the page is blank and asks for nothing.
    const options = {
      chromium: recorder.chromium,
      user,
      sandbox,
      scratch,
      display,
      sound,
      directMedia: false,
      proxyPort: 9,
      signal,
    };
    const browser = await launchBrowser({ ...options, ...size, webGL: false });
    const tookMs = performance.now() - startedAt;
    await browser.kill();
    return tookMs;
  } finally {
    await Promise.all([display.close(), sound.close()]);
    await scratch.remove();
  }
}

/** Captures a web page with sound: display, sound server, browser and page as one thing that can be opened, broken and reopened. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { strangerEnvironment } from '../../src/config.js';
import { type HostSpec, hostFiles, type PageSource, type PartEnd } from '../../src/jobs/capture.js';
import { launchBrowser, type RunningBrowser } from '../capture/browser.js';
import { type BrowserUser, sandboxWorks } from '../capture/browser-user.js';
import { asFailure, CaptureError } from '../capture/capture-error.js';
import { openConsoleLog } from '../capture/console-log.js';
import { type Display, openDisplay } from '../capture/display.js';
import { loadPage } from '../capture/page-load.js';
import { openPageSession, type PageSession } from '../capture/page-session.js';
import type { Scratch } from '../capture/scratch.js';
import { openSound, type Sound } from '../capture/sound.js';
import type { CaptureInput } from '../ffmpeg/command.js';

const attempts = 2;
const screenshotLimitMs = 5_000;
// When the display dies, browser and encoder follow within some 50 ms: who died first is known only after a moment.
const settleMs = 150;

/** Why a capture that was running is not running any more. */
export type CaptureEnd =
  | { kind: 'session-ended' }
  | { kind: 'closed' }
  | { kind: 'fault'; cause: Extract<PartEnd, 'BROWSER_DIED' | 'DISPLAY_DIED' | 'SOUND_DIED'>; detail: string };

/** A page that is ready to be recorded, or being recorded. */
export interface PageCapture {
  input: CaptureInput;
  ended: Promise<CaptureEnd>;
  /** Animation frames the page has drawn since this capture was opened. */
  countFrames(): Promise<number>;
  pids: { display: number; sound: number; browser: number };
}

export interface PageRecorderOptions {
  source: PageSource;
  tools: Pick<HostSpec['tools'], 'chromium' | 'ffmpeg'>;
  user: BrowserUser | null;
  scratch: Scratch;
  /** Where screenshot and console log go. */
  folder: string;
  /** Port of the egress proxy on 127.0.0.1. */
  proxyPort: number;
  /** What the egress gate refused last. */
  lastRefusal: () => string | null;
}

export interface PageRecorder {
  /**
   * Opens everything that is missing and loads the page, with one reload. Closes a capture that was open.
   * A display and a sound server that still live are kept. Throws CaptureError, or the signal's reason.
   */
  open(signal: AbortSignal): Promise<PageCapture>;
  /** Ends everything; a later `open` starts from nothing. */
  close(): Promise<void>;
}

interface Stage {
  display: Display;
  sound: Sound;
  dead: boolean;
}

/** Makes a recorder of one page. Starts nothing. */
export function createPageRecorder(options: PageRecorderOptions): PageRecorder {
  const { source, user, scratch } = options;
  const log = openConsoleLog(join(options.folder, hostFiles.console));
  const sandbox = sandboxWorks(user);
  // Reading it takes a quarter of a second, during which display and sound server start.
  void import('puppeteer');
  let stage: Stage | null = null;
  let running: RunningBrowser | null = null;

  async function openStage(signal: AbortSignal): Promise<Stage> {
    if (stage && !stage.dead) return stage;
    await closeStage();
    const [display, sound] = await Promise.allSettled([
      openDisplay({ width: source.width, height: source.height, user, scratch, signal }),
      openSound({ user, scratch, signal }),
    ]);
    if (display.status === 'rejected' || sound.status === 'rejected') {
      if (display.status === 'fulfilled') await display.value.close();
      if (sound.status === 'fulfilled') await sound.value.close();
      signal.throwIfAborted();
      throw new CaptureError(
        'CAPTURE_FAILED',
        String((display.status === 'rejected' ? display : (sound as PromiseRejectedResult)).reason),
      );
    }
    const opened: Stage = { display: display.value, sound: sound.value, dead: false };
    void Promise.race([opened.display.exited, opened.sound.exited]).then(() => {
      opened.dead = true;
    });
    stage = opened;
    return opened;
  }

  async function closeStage(): Promise<void> {
    const old = stage;
    stage = null;
    await Promise.all([old?.display.close(), old?.sound.close()]);
  }

  async function closeBrowser(): Promise<void> {
    const old = running;
    running = null;
    await old?.close();
  }

  async function openPage(current: Stage, signal: AbortSignal): Promise<PageCapture> {
    const { display, sound } = current;
    const { width, height, fps } = source;
    running = await launchBrowser({
      ...{ chromium: options.tools.chromium, user, sandbox: await sandbox, scratch, display, sound },
      ...{ width, height, proxyPort: options.proxyPort, signal },
    }).catch((error: unknown) => {
      signal.throwIfAborted();
      throw new CaptureError(
        'CAPTURE_FAILED',
        `The browser did not start. ${error instanceof Error ? error.message : String(error)}`,
      );
    });
    const session = await openPageSession(running, log);
    const ended = endOf(session, running, current);
    const abort = new AbortController();
    void session.endRequested.then(() => abort.abort(sessionEndedEarly));
    await loadPage(session, source, {
      signal: AbortSignal.any([signal, abort.signal]),
      lastRefusal: options.lastRefusal,
    }).catch((error: unknown) => {
      // A page that ends its session while it loads is ready, and over: the caller sees both.
      if (error !== sessionEndedEarly) throw error;
    });
    return {
      input: {
        ...{
          display: display.name,
          authority: display.authority,
          soundServer: sound.server,
          soundSource: sound.monitor,
        },
        ...{ width, height, fps },
      },
      ended,
      countFrames: () => session.countFrames(),
      pids: { display: display.pid, sound: sound.pid, browser: running.pid },
    };
  }

  /** What the recording would have shown, taken from the display: works for a page that hangs, and shows error pages as they are. */
  async function takeScreenshot({ display }: Stage): Promise<void> {
    const args = ['-nostdin', '-hide_banner', '-loglevel', 'error', '-f', 'x11grab', '-draw_mouse', '0'];
    args.push('-video_size', `${source.width}x${source.height}`, '-i', display.name, '-frames:v', '1', '-y');
    args.push(`file:${join(options.folder, hostFiles.screenshot)}`);
    await promisify(execFile)(options.tools.ffmpeg, args, {
      timeout: screenshotLimitMs,
      killSignal: 'SIGKILL',
      env: strangerEnvironment({ XAUTHORITY: display.authority, HOME: scratch.encoderHome }),
    });
  }

  return {
    async open(signal) {
      await closeBrowser();
      for (let attempt = 1; ; attempt += 1) {
        signal.throwIfAborted();
        const current = await openStage(signal);
        try {
          return await openPage(current, signal);
        } catch (error) {
          signal.throwIfAborted();
          log.write('not ready', `attempt ${attempt} of ${attempts}: ${asFailure(error).message}`);
          await takeScreenshot(current).catch((problem: unknown) => log.write('no screenshot', String(problem)));
          await closeBrowser();
          if (attempt === attempts) throw error;
        }
      }
    },
    async close() {
      await closeBrowser();
      await closeStage();
    },
  };
}

const sessionEndedEarly = new Error('The page ended its session while it was loading.');

/** The first end of anything the capture stands on, named by its root cause. */
async function endOf(session: PageSession, browser: RunningBrowser, stage: Stage): Promise<CaptureEnd> {
  let displayDied = false;
  let soundDied = false;
  const display = stage.display.exited.then(() => {
    displayDied = true;
  });
  const sound = stage.sound.exited.then(() => {
    soundDied = true;
  });
  const first = await Promise.race([
    session.endRequested.then(() => ({ kind: 'session-ended' }) as const),
    session.ended,
    browser.exited.then(() => null),
    display.then(() => null),
    sound.then(() => null),
  ]);
  if (first?.kind === 'session-ended') return first;
  await new Promise((resolve) => setTimeout(resolve, settleMs));
  if (displayDied) return { kind: 'fault', cause: 'DISPLAY_DIED', detail: 'The virtual display ended.' };
  if (soundDied) return { kind: 'fault', cause: 'SOUND_DIED', detail: 'The sound server ended.' };
  const end = await session.ended;
  return end.kind === 'closed' ? end : { kind: 'fault', cause: 'BROWSER_DIED', detail: end.detail };
}

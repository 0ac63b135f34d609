/** Captures a web page with sound: display, sound server, browser and page as one thing that can be opened, broken and reopened. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Page } from 'puppeteer';
import { strangerEnvironment } from '../../src/config.js';
import { type HostSpec, hostFiles, type Layout, type OpenPage, type PartEnd } from '../../src/jobs/capture.js';
import { launchBrowser, type RunningBrowser } from '../capture/browser.js';
import { type BrowserUser, sandboxWorks } from '../capture/browser-user.js';
import { asFailure, CaptureError } from '../capture/capture-error.js';
import { openConsoleLog } from '../capture/console-log.js';
import { loadPage } from '../capture/page-load.js';
import { openPageSession, type PageSession } from '../capture/page-session.js';
import type { Scratch } from '../capture/scratch.js';
import type { CaptureInput } from '../ffmpeg/command.js';
import { createStage, type Stage } from './stage.js';

const attempts = 2;
const screenshotLimitMs = 5_000;
// When the display dies, browser and encoder follow within some 50 ms: who died first is known after a moment, or as soon
// as display and sound server are seen to answer.
const settleMs = 250;

/** What may hang, and is replaced when it does. */
export type Hang = Extract<PartEnd, 'BROWSER_HUNG' | 'DISPLAY_HUNG' | 'SOUND_HUNG'>;

/** Why a capture that was running is not running any more. */
export type CaptureEnd =
  | { kind: 'session-ended' }
  | { kind: 'closed' }
  | { kind: 'fault'; cause: Hang | Extract<PartEnd, 'BROWSER_DIED' | 'DISPLAY_DIED' | 'SOUND_DIED'>; detail: string };

/** A page that is ready to be recorded, or being recorded. */
export interface PageCapture {
  input: CaptureInput;
  ended: Promise<CaptureEnd>;
  /**
   * Animation frames the page has drawn since this capture was opened; the last known number when it does not answer
   * within 2 s, null when it has no document that could draw.
   */
  countFrames(): Promise<number | null>;
  /** Resolves when display and sound server are known to serve, or when it would be known that they do not. */
  settled(): Promise<void>;
  /** Asks display and sound server whether they answer; takes milliseconds when they do, 1 s when not, 4 s when busy. */
  findHang(): Promise<Exclude<Hang, 'BROWSER_HUNG'> | null>;
  /** Has our viewer page arrange participants so. Does nothing in other pages. Throws when the page does not answer. */
  setLayout(layout: Layout): Promise<void>;
  /** Ends what hangs, at once. Unless the capture has ended already, it ends with this cause. */
  condemn(cause: Hang, detail: string): void;
}

export interface PageRecorderOptions {
  source: OpenPage;
  tools: Pick<HostSpec['tools'], 'chromium' | 'ffmpeg'>;
  user: BrowserUser | null;
  scratch: Scratch;
  /** Where screenshot and console log go. */
  folder: string;
  /** Port of the egress proxy on 127.0.0.1. */
  proxyPort: number;
  directMedia: boolean;
  /** How participants are to be arranged, where the page is one that can. */
  layout: () => Layout | null;
  /** What the egress gate refused last. */
  lastRefusal: () => string | null;
  /** Called with each page before it goes anywhere. */
  prepare: ((page: Page) => Promise<void>) | null;
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

/** Makes a recorder of one page. Starts nothing. */
export function createPageRecorder(options: PageRecorderOptions): PageRecorder {
  const { source, user, scratch } = options;
  const log = openConsoleLog(join(options.folder, hostFiles.console));
  const sandbox = sandboxWorks(user);
  // Reading it takes a quarter of a second, during which display and sound server start.
  void import('puppeteer');
  const stage = createStage({ width: source.width, height: source.height, user, scratch });
  let running: RunningBrowser | null = null;
  let dying: Promise<void> = Promise.resolve();

  async function closeBrowser(): Promise<void> {
    const old = running;
    running = null;
    await old?.kill();
  }

  async function openPage(current: Stage, signal: AbortSignal): Promise<PageCapture> {
    const { display, sound } = current;
    const { width, height, fps } = source;
    running = await launchBrowser({
      ...{ chromium: options.tools.chromium, user, sandbox: await sandbox, scratch, display, sound },
      ...{ width, height, proxyPort: options.proxyPort, directMedia: options.directMedia, signal },
      webGL: source.task?.webGL ?? false,
    }).catch((error: unknown) => {
      signal.throwIfAborted();
      throw new CaptureError(
        'CAPTURE_FAILED',
        `The browser did not start. ${error instanceof Error ? error.message : String(error)}`,
      );
    });
    const session = await openPageSession(running, log);
    await options.prepare?.(session.page);
    const condemned = withResolver<CaptureEnd>();
    const ended = Promise.race([condemned.promise, endOf(session, running, current)]);
    const browser = running;
    const abort = new AbortController();
    void session.endRequested.then(() => abort.abort(sessionEndedEarly));
    await loadPage(session, source, {
      signal: AbortSignal.any([signal, abort.signal]),
      lastRefusal: options.lastRefusal,
    }).catch((error: unknown) => {
      // A page that ends its session while it loads is ready, and over: the caller sees both.
      if (error !== sessionEndedEarly) throw error;
    });
    const layout = options.layout();
    // It is in the page's address too, as it was when the host started.
    if (layout) await session.setLayout(layout).catch((error: unknown) => log.write('layout not set', String(error)));
    return {
      input: {
        ...{
          display: display.name,
          authority: display.authority,
          soundServer: sound.server,
          soundSource: sound.monitor,
        },
        ...{ width, height, fps, encoding: source.encoding, splitMs: source.recording?.output.splitMs ?? null },
        sound: source.task?.sound ?? null,
      },
      ended,
      countFrames: () => session.countFrames(),
      setLayout: (layout) => session.setLayout(layout),
      settled: () => settled(current),
      async findHang() {
        const [displayHangs, soundHangs] = await Promise.all([display.hangs(), sound.hangs()]);
        if (displayHangs) return 'DISPLAY_HUNG';
        return soundHangs ? 'SOUND_HUNG' : null;
      },
      condemn(cause, detail) {
        condemned.resolve({ kind: 'fault', cause, detail });
        if (cause === 'DISPLAY_HUNG') dying = display.kill();
        else if (cause === 'SOUND_HUNG') dying = sound.kill();
        else dying = browser.kill();
      },
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
      await Promise.all([closeBrowser(), dying]);
      for (let attempt = 1; ; attempt += 1) {
        signal.throwIfAborted();
        const current = await stage.open(signal);
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
      await Promise.all([closeBrowser(), dying]);
      await stage.close();
    },
  };
}

const sessionEndedEarly = new Error('The page ended its session while it was loading.');

async function settled({ display, sound }: Stage): Promise<void> {
  const serving = Promise.all([display.answers(), sound.answers()]).then((each) => each.every(Boolean));
  const waited = sleep(settleMs);
  if (!(await Promise.race([serving, waited.then(() => true)]))) await waited;
}

function withResolver<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

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
  await settled(stage);
  if (displayDied) return { kind: 'fault', cause: 'DISPLAY_DIED', detail: 'The virtual display ended.' };
  if (soundDied) return { kind: 'fault', cause: 'SOUND_DIED', detail: 'The sound server ended.' };
  const end = await session.ended;
  return end.kind === 'closed' ? end : { kind: 'fault', cause: 'BROWSER_DIED', detail: end.detail };
}

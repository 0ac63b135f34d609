/** One page in one browser, from its first request to its end: what it says, what it has drawn, and how it ended. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CDPSession, HTTPRequest, HTTPResponse, Page } from 'puppeteer';
import type { Layout } from '../../src/jobs/capture.js';
import type { RunningBrowser } from './browser.js';
import type { ConsoleLog } from './console-log.js';
import { TimeLimitError, within } from './time-limit.js';

const callLimitMs = 2_000;
// Chromium ends by itself when its last page closes; its exit tells a closed page from a killed browser.
const settleMs = 300;
const worldName = 'tapedeck';
// In a world of its own, where nothing the page redefines can reach it.
const frameCounter = `if (window.top === window) {
  globalThis.drawnFrames = 0;
  const count = () => { globalThis.drawnFrames += 1; requestAnimationFrame(count); };
  requestAnimationFrame(count);
}`;

/** How a page ended without being asked. */
export type PageEnd = { kind: 'closed' } | { kind: 'crashed'; detail: string };

/** What the main document's last navigation came to. */
export interface MainDocument {
  url: string;
  status: number | null;
  /** Set when the egress gate refused it. */
  refused: string | null;
  /** Chromium's name of a network error, such as net::ERR_CONNECTION_REFUSED, or the egress proxy's words for it. */
  error: string | null;
}

export interface PageSession {
  readonly page: Page;
  /** The page said START_RECORDING. */
  readonly startRequested: Promise<void>;
  /** The page said END_RECORDING. */
  readonly endRequested: Promise<void>;
  readonly ended: Promise<PageEnd>;
  readonly mainDocument: MainDocument;
  /** Whether the current document's `load` event has fired. */
  loaded(): boolean;
  /** Whether the page asks to be recorded only after START_RECORDING. */
  waitsForSignal(limitMs: number): Promise<boolean>;
  /** Resolves when the page has drawn two more frames; rejects with TimeLimitError. */
  painted(limitMs: number): Promise<void>;
  /**
   * Animation frames drawn since the session began, over all documents; the last known number when the page does not
   * answer within 2 s, null while it has no document that could draw.
   */
  countFrames(): Promise<number | null>;
  /** Has our viewer page arrange participants so; nothing happens in other pages. Rejects with TimeLimitError after 2 s. */
  setLayout(layout: Layout): Promise<void>;
}

/** Attaches to the browser's first page. Navigates nowhere. */
export async function openPageSession(running: RunningBrowser, log: ConsoleLog): Promise<PageSession> {
  const { browser } = running;
  const page =
    (await within(callLimitMs, 'Listing the pages', browser.pages()))[0] ??
    (await within(callLimitMs, 'Opening a page', browser.newPage()));
  const cdp = await within(callLimitMs, 'Attaching to the page', page.createCDPSession());
  const mainDocument: MainDocument = { url: page.url(), status: null, refused: null, error: null };
  const start = signal();
  const end = signal();
  let ownContexts = new Set<number>();
  let ownWorld: number | null = null;
  let loaded = false;
  let framesBefore = 0;
  let framesHere = 0;

  const mainFrame = (await within(callLimitMs, 'Reading the frame tree', cdp.send('Page.getFrameTree'))).frameTree.frame
    .id;
  cdp.on('Runtime.executionContextCreated', ({ context }) => {
    if ((context.auxData as { frameId?: string } | undefined)?.frameId !== mainFrame) return;
    if (context.name === worldName) ownWorld = context.id;
    else ownContexts.add(context.id);
  });
  cdp.on('Runtime.executionContextsCleared', () => {
    ownContexts = new Set();
    ownWorld = null;
    loaded = false;
    framesBefore += framesHere;
    framesHere = 0;
  });
  cdp.on('Page.loadEventFired', () => {
    loaded = true;
  });
  cdp.on('Runtime.consoleAPICalled', ({ type, args, executionContextId }) => {
    const text = args
      .map((arg) => (arg.value === undefined ? (arg.description ?? arg.type) : String(arg.value)))
      .join(' ');
    log.write(`console.${type}`, text);
    // Only the page itself may say when it is recorded, not an advertisement in a frame of it.
    if (!ownContexts.has(executionContextId)) return;
    if (text.trim() === 'START_RECORDING') start.fire();
    if (text.trim() === 'END_RECORDING') end.fire();
  });
  watchNetwork(page, mainDocument, log);
  page.on('pageerror', (error) => log.write('page error', error instanceof Error ? error.message : String(error)));
  page.on('dialog', (dialog) => {
    log.write(`dialog.${dialog.type()}`, dialog.message());
    // Leaving is what the page itself asked for; every other question is answered with no.
    void (dialog.type() === 'beforeunload' ? dialog.accept() : dialog.dismiss()).catch(() => {});
  });
  browser.on('targetcreated', (target) => {
    if (target.type() !== 'page' || target === page.target()) return;
    log.write('popup', `closed ${target.url()}`);
    void target
      .page()
      .then((popup) => popup?.close())
      .catch(() => {});
  });
  const ended = watchEnd(running, page);
  await within(callLimitMs, 'Preparing the page', prepare(cdp));

  return {
    page,
    startRequested: start.fired,
    endRequested: end.fired,
    ended,
    mainDocument,
    loaded: () => loaded,
    waitsForSignal: async (limitMs) => {
      const expression = `document.querySelector('meta[name="tapedeck-start"]')?.content === 'signal'`;
      return (await evaluate(expression, limitMs)) === true;
    },
    painted: async (limitMs) => {
      await evaluate(
        'new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(true))))',
        limitMs,
      );
    },
    countFrames: async () => {
      if (ownWorld === null) return null;
      const count = await evaluate('globalThis.drawnFrames', callLimitMs).catch(() => framesHere);
      if (typeof count === 'number' && count > framesHere) framesHere = count;
      return framesBefore + framesHere;
    },
    async setLayout(layout) {
      // One of a few words of ours, so that it can stand in an expression; in the page's own world, where its functions are.
      const expression = `globalThis.tapedeck?.setLayout?.(${JSON.stringify(layout)})`;
      await within(callLimitMs, 'Arranging the page', cdp.send('Runtime.evaluate', { expression }));
    },
  };

  async function evaluate(expression: string, limitMs: number): Promise<unknown> {
    const deadline = performance.now() + limitMs;
    while (ownWorld === null && performance.now() < deadline) await sleep(10);
    if (ownWorld === null) throw new TimeLimitError('The page has no document to ask.');
    const call = cdp.send('Runtime.evaluate', {
      expression,
      contextId: ownWorld,
      awaitPromise: true,
      returnByValue: true,
    });
    return (await within(deadline - performance.now(), 'Asking the page', call)).result.value;
  }
}

async function prepare(cdp: CDPSession): Promise<void> {
  await cdp.send('Page.enable');
  await cdp.send('Runtime.enable');
  await cdp.send('Page.addScriptToEvaluateOnNewDocument', { source: frameCounter, worldName });
}

function watchNetwork(page: Page, mainDocument: MainDocument, log: ConsoleLog): void {
  const isMain = (request: HTTPRequest) => request.isNavigationRequest() && request.frame() === page.mainFrame();
  page.on('request', (request) => {
    if (isMain(request)) Object.assign(mainDocument, { url: request.url(), status: null, refused: null, error: null });
  });
  page.on('response', (response: HTTPResponse) => {
    const { 'x-tapedeck-refused': refused = null, 'x-tapedeck-unreachable': error = null } = response.headers();
    if (isMain(response.request())) Object.assign(mainDocument, { status: response.status(), refused, error });
    if (response.status() >= 400)
      log.write('http error', `${response.status()} ${response.url()} ${refused ?? error ?? ''}`);
  });
  page.on('requestfailed', (request) => {
    const error = request.failure()?.errorText ?? 'unknown error';
    // Aborted: the page gave up this navigation itself, or it was a download; the document before it stays.
    if (isMain(request) && error !== 'net::ERR_ABORTED') mainDocument.error = error;
    log.write('request failed', `${error} ${request.url()}`);
  });
}

async function watchEnd(running: RunningBrowser, page: Page): Promise<PageEnd> {
  const crashed = new Promise<PageEnd>((resolve) => {
    page.once('error', (error) => resolve({ kind: 'crashed', detail: error.message }));
  });
  const closed = new Promise<'closed'>((resolve) => page.once('close', () => resolve('closed')));
  const exited = running.exited.then(() => 'exited' as const);
  const first = await Promise.race([crashed, closed, exited]);
  if (typeof first === 'object') return first;
  const exit = await within(settleMs, 'The end of the browser', running.exited).catch(() => null);
  if (exit && (exit.signal !== null || exit.code !== 0)) {
    return { kind: 'crashed', detail: `The browser ended with ${exit.signal ?? `status ${exit.code}`}.` };
  }
  return { kind: 'closed' };
}

function signal(): { fired: Promise<void>; fire: () => void } {
  let fire = () => {};
  const fired = new Promise<void>((resolve) => {
    fire = resolve;
  });
  return { fired, fire };
}

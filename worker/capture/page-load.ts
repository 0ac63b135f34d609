/** Brings a page to the moment from which it can be recorded, or says why it never got there. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { OpenPage } from '../../src/jobs/capture.js';
import { CaptureError } from './capture-error.js';
import type { MainDocument, PageSession } from './page-session.js';
import { TimeLimitError, unlessAborted, within } from './time-limit.js';

// A page whose document is there but that never stops loading (a hanging image, a long poll) is recorded after this long.
const lateResourcesMs = 10_000;
// What is kept of the deadline for drawing, when late resources use up the rest.
const paintReserveMs = 3_000;
const pollMs = 25;

/**
 * Opens the URL and waits until it is ready: its document answered well, it is loaded and has drawn a frame; or it said
 * START_RECORDING, for which it is waited when the page asks for that. Throws CaptureError after `loadTimeoutMs` at the
 * latest, or the signal's reason when aborted. `lastRefusal` tells what the egress gate refused last.
 */
export async function loadPage(
  session: PageSession,
  source: OpenPage,
  options: { signal: AbortSignal; lastRefusal: () => string | null },
): Promise<void> {
  // Chromium would open local files for whoever drives it; a page cannot lead there itself.
  if (!/^https?:\/\//i.test(source.url)) throw new CaptureError('URL_REFUSED', 'Only http and https can be recorded.');
  const deadline = performance.now() + source.loadTimeoutMs;
  const leftMs = () => deadline - performance.now();
  const ended = session.ended.then((end) => {
    throw end.kind === 'closed'
      ? new CaptureError('PAGE_CLOSED', 'It did so before recording began.')
      : new CaptureError('PAGE_CRASHED', end.detail);
  });
  const refusalBefore = options.lastRefusal();
  const newRefusal = () => (options.lastRefusal() === refusalBefore ? null : options.lastRefusal());
  const work = Promise.race([ended, session.startRequested, becomeReady(session, source.url, leftMs)]);
  try {
    await unlessAborted(options.signal, within(source.loadTimeoutMs, 'Loading', work));
  } catch (error) {
    options.signal.throwIfAborted();
    if (error instanceof CaptureError) throw error;
    // A crash shows as a failed call first; its own words come a moment later.
    await within(500, 'The end of the page', ended).catch((late) => {
      if (late instanceof CaptureError) throw late;
    });
    throw explain(error, session.mainDocument, source, newRefusal());
  }
  const wrong = documentError(session.mainDocument, newRefusal());
  if (wrong) throw wrong;
}

async function becomeReady(session: PageSession, url: string, leftMs: () => number): Promise<void> {
  // Its own time limit is off: the caller's covers the whole way.
  await session.page.goto(url, { waitUntil: 'domcontentloaded', timeout: 0 });
  if (documentError(session.mainDocument, null)) return;
  if (await session.waitsForSignal(leftMs())) return session.startRequested;
  const patienceEnds = performance.now() + Math.min(lateResourcesMs, leftMs() - paintReserveMs);
  while (!session.loaded() && performance.now() < patienceEnds) await sleep(pollMs);
  await session.painted(leftMs());
}

function documentError(document: MainDocument, refusal: string | null): CaptureError | null {
  if (document.refused) return new CaptureError('URL_REFUSED', document.refused);
  // A refused tunnel shows as this error and nothing else.
  if (document.error === 'net::ERR_TUNNEL_CONNECTION_FAILED' && refusal)
    return new CaptureError('URL_REFUSED', refusal);
  if (document.error) return new CaptureError('PAGE_UNREACHABLE', `${document.error} at ${shownUrl(document.url)}`);
  if (document.status !== null && document.status >= 400) {
    return new CaptureError('PAGE_HTTP_ERROR', `Status ${document.status} at ${shownUrl(document.url)}`);
  }
  return null;
}

function explain(error: unknown, document: MainDocument, source: OpenPage, refusal: string | null): CaptureError {
  const wrong = documentError(document, refusal);
  if (wrong) return wrong;
  if (error instanceof TimeLimitError) {
    const seconds = source.loadTimeoutMs / 1000;
    const state = document.status === null ? 'Its server did not answer' : 'It answered, but did not become ready';
    return new CaptureError('PAGE_LOAD_TIMEOUT', `${state} within ${seconds} s at ${shownUrl(document.url)}`);
  }
  return new CaptureError('PAGE_UNREACHABLE', error instanceof Error ? error.message : String(error));
}

/** Without the query and with little of the path: tokens travel there, and messages end up in logs and histories. */
function shownUrl(url: string): string {
  if (!URL.canParse(url)) return 'its address';
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`.slice(0, 120);
}

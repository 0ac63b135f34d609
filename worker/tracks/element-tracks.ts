/** Records the media elements of a page to files of their own: the browser encodes each, and what it encoded is written here. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CDPSession, Page } from 'puppeteer';
import { type TrackEnd, type TrackOrigin, trackFile } from '../../src/jobs/capture.js';
import type { TrackKind } from '../../src/media/media-server.js';
import {
  type ElementMessage,
  elementScript,
  elementsBinding,
  elementsWorld,
  setWanted,
  type ToldElement,
} from './element-script.js';
import type { TrackLedger } from './ledger.js';
import type { TracksRecording } from './room-tracks.js';

export interface ElementTracks extends TracksRecording {
  /** To be called for each page before it goes anywhere. Never throws: without it the page is recorded all the same. */
  prepare(page: Page): Promise<void>;
}

interface OpenFile {
  track: number;
  descriptor: number;
}

/** A browser that answers hands out its last half second within this time. */
const lastDataMs = 3_000;
const lookMs = 20;
const longestNameChars = 100;

export interface ElementTracksOptions {
  ledger: TrackLedger;
  /** Of the incarnation. */
  folder: string;
  /** Tracks of others are left out. */
  kinds: readonly TrackKind[];
}

/** Records nothing until it is wanted. */
export function recordElements({ ledger, folder, kinds }: ElementTracksOptions): ElementTracks {
  let isWanted = false;
  let asked: TrackEnd = 'PAUSED';
  let current: { cdp: CDPSession; contexts: Set<number> } | null = null;
  const files = new Map<string, OpenFile>();

  function hear(context: number, message: ElementMessage): void {
    const key = 'key' in message ? `${context} ${message.key}` : '';
    if (message.type === 'refused') ledger.refuse(originOf(message.element), message.reason);
    else if (message.type === 'begin') {
      const track = ledger.begin(originOf(message.element));
      files.set(key, { track, descriptor: openSync(join(folder, trackFile(track)), 'wx') });
      ledger.firstMedia(track, Math.round(message.at));
    } else if (message.type === 'data') {
      const file = files.get(key);
      if (file) writeWhole(file.descriptor, Buffer.from(message.base64, 'base64'));
    } else end(key, message.cause === 'ASKED' ? asked : message.cause);
  }

  function end(key: string, cause: TrackEnd): void {
    const file = files.get(key);
    files.delete(key);
    if (!file) return;
    closeSync(file.descriptor);
    ledger.end(file.track, cause);
  }

  /** Of one document, or of all. */
  function endAll(cause: TrackEnd, context?: number): void {
    for (const key of [...files.keys()]) {
      if (context !== undefined && !key.startsWith(`${context} `)) continue;
      trying(`element ${key}`, () => end(key, cause));
    }
  }

  /** A disk that takes no more ends the files, and never the recording of the page. */
  function trying(what: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      ledger.problem(what, `What the page's elements play cannot be written: ${error}.`);
    }
  }

  async function tell(context: number): Promise<void> {
    await current?.cdp
      .send('Runtime.evaluate', { expression: setWanted(isWanted), contextId: context })
      .catch(() => {});
  }

  async function prepare(page: Page): Promise<void> {
    endAll('WRITER_DIED');
    const cdp = await page.createCDPSession();
    const contexts = new Set<number>();
    const here = { cdp, contexts };
    current = here;
    cdp.on('Runtime.executionContextCreated', ({ context }) => {
      if (context.name !== elementsWorld) return;
      contexts.add(context.id);
      if (isWanted) void tell(context.id);
    });
    cdp.on('Runtime.executionContextDestroyed', ({ executionContextId }) => {
      if (contexts.delete(executionContextId)) endAll('LEFT', executionContextId);
    });
    cdp.on('Runtime.executionContextsCleared', () => {
      contexts.clear();
      if (current === here) endAll('LEFT');
    });
    cdp.on('Runtime.bindingCalled', ({ name, payload, executionContextId }) => {
      if (name !== elementsBinding || current !== here) return;
      trying('elements', () => hear(executionContextId, JSON.parse(payload) as ElementMessage));
    });
    const gone = () => {
      if (current !== here) return;
      current = null;
      endAll('WRITER_DIED');
    };
    page.browser().once('disconnected', gone);
    page.once('error', gone);
    page.once('close', gone);
    await cdp.send('Page.enable');
    await cdp.send('Runtime.enable');
    await cdp.send('Runtime.addBinding', { name: elementsBinding, executionContextName: elementsWorld });
    await cdp.send('Page.addScriptToEvaluateOnNewDocument', { source: elementScript(kinds), worldName: elementsWorld });
  }

  return {
    prepare: (page) =>
      prepare(page).catch((error: unknown) =>
        ledger.problem('elements', `The page's elements cannot be recorded: ${error}.`),
      ),
    set(wanted) {
      if (wanted === isWanted) return;
      isWanted = wanted;
      asked = 'PAUSED';
      for (const context of current?.contexts ?? []) void tell(context);
    },
    async close() {
      isWanted = false;
      asked = 'STOPPED';
      for (const context of current?.contexts ?? []) void tell(context);
      for (const untilMs = performance.now() + lastDataMs; files.size > 0 && performance.now() < untilMs; )
        await sleep(lookMs);
      endAll('STOPPED');
      current = null;
    },
  };
}

function originOf({ id, name, tracks }: ToldElement): TrackOrigin {
  const short = (text: string) => text.slice(0, longestNameChars);
  return {
    ...{ id: short(id), identity: short(id), name: short(name) },
    tracks: tracks.map(({ kind, codec }) => ({ kind, codec, source: null })),
  };
}

function writeWhole(descriptor: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written);
}

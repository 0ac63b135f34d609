/** Pieces of what is recorded, made while somebody looks: for as long as that is wanted, and no longer. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { liveFolder, previewPieces } from '../../src/rooms/live-playlist.js';
import { type LiveOptions, makeLive } from './live.js';

export interface Preview {
  want(isWanted: boolean): void;
  /** Resolves when nothing is made any more. */
  close(): Promise<void>;
}

/** Makes nothing yet. */
export function createPreview(options: Omit<LiveOptions, 'from' | 'kept' | 'signal'>): Preview {
  let making: { over: AbortController; done: Promise<void> } | null = null;
  let closing: Promise<void> = Promise.resolve();

  function start(): void {
    const over = new AbortController();
    // The last one's pieces go before others are made.
    const done = closing.then(() => makeLive({ ...options, from: 'newest', kept: previewPieces, signal: over.signal }));
    making = { over, done };
  }

  function stop(): void {
    if (!making) return;
    const { over, done } = making;
    making = null;
    over.abort(new Error('Nobody looks any more.'));
    closing = done.then(() => rmSync(join(options.folder, liveFolder), { recursive: true, force: true }));
  }

  return {
    want(isWanted) {
      if (isWanted && !making) start();
      else if (!isWanted) stop();
    },
    async close() {
      stop();
      await closing;
    },
  };
}

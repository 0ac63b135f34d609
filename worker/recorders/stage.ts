/** What a page plays on: a display and a sound server, each opened again by itself when it has died. */

import type { BrowserUser } from '../capture/browser-user.js';
import { CaptureError } from '../capture/capture-error.js';
import { type Display, openDisplay } from '../capture/display.js';
import type { Scratch } from '../capture/scratch.js';
import { openSound, type Sound } from '../capture/sound.js';

export interface Stage {
  display: Display;
  sound: Sound;
}

export interface StageHolder {
  /** Opens what is missing, and keeps what lives. Throws CaptureError, or the signal's reason. */
  open(signal: AbortSignal): Promise<Stage>;
  /** Ends both, within a second. */
  close(): Promise<void>;
}

/** Starts nothing yet. Sizes in pixels. */
export function createStage(options: {
  width: number;
  height: number;
  user: BrowserUser | null;
  scratch: Scratch;
}): StageHolder {
  const display = keep((signal) => openDisplay({ ...options, signal }));
  const sound = keep((signal) => openSound({ ...options, signal }));
  return {
    async open(signal) {
      const [opened, heard] = await Promise.allSettled([display.open(signal), sound.open(signal)]);
      if (opened.status === 'fulfilled' && heard.status === 'fulfilled') {
        return { display: opened.value, sound: heard.value };
      }
      signal.throwIfAborted();
      const { reason } = (opened.status === 'rejected' ? opened : heard) as PromiseRejectedResult;
      throw new CaptureError('CAPTURE_FAILED', String(reason));
    },
    async close() {
      await Promise.all([display.close(), sound.close()]);
    },
  };
}

/** Keeps a thing until it has ended by itself. */
function keep<T extends { exited: Promise<unknown>; close(): Promise<void> }>(
  open: (signal: AbortSignal) => Promise<T>,
): { open(signal: AbortSignal): Promise<T>; close(): Promise<void> } {
  let kept: T | null = null;
  return {
    async open(signal) {
      if (kept) return kept;
      const opened = await open(signal);
      kept = opened;
      void opened.exited.then(() => {
        if (kept === opened) kept = null;
      });
      return opened;
    },
    async close() {
      const old = kept;
      kept = null;
      await old?.close();
    },
  };
}

/** Has the page that is captured arrange participants as it is wished, also when that changes while it is captured. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Layout } from '../../src/jobs/capture.js';
import type { PageCapture } from '../recorders/page.js';

/** A page that did not answer is asked again after this. */
const retryMs = 2_000;

export interface LayoutKeeper {
  /** Null: the page has none to choose. */
  wanted(): Layout | null;
  want(layout: Layout | null): void;
  /** This page is captured from now on; null: none is. */
  opened(capture: PageCapture | null): void;
}

export function createLayoutKeeper(first: Layout | null, note: (text: string) => void): LayoutKeeper {
  let wanted = first;
  let capture: PageCapture | null = null;
  let turn = 0;

  async function apply(): Promise<void> {
    const mine = ++turn;
    while (capture && wanted && mine === turn) {
      try {
        return await capture.setLayout(wanted);
      } catch (error) {
        note(`layout not changed yet: ${error instanceof Error ? error.message : error}`);
        await sleep(retryMs);
      }
    }
  }

  return {
    wanted: () => wanted,
    want(layout) {
      if (layout === wanted) return;
      wanted = layout;
      void apply();
    },
    opened(next) {
      capture = next;
      void apply();
    },
  };
}

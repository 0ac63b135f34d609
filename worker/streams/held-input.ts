/** Keeps a connection over parts: a recording that is changed, or whose source has changed, loses nobody who sends to it. */
import type { PartEnd } from '../../src/jobs/capture.js';
import { openInput } from './input.js';
import type { InputOptions, OpenInput } from './open-input.js';

/** After these the source is still there, and goes on. */
const goingOn: readonly PartEnd[] = ['RECONFIGURED', 'SOURCE_CHANGED', 'TIME_JUMPED', 'ENCODER_DIED'];

/** Whether the next part is read from the same connection. */
export const isKept = (input: Pick<OpenInput, 'resumable'>, cause: PartEnd | null): boolean =>
  input.resumable && cause !== null && goingOn.includes(cause);

export interface HeldInput {
  /** The connection that was kept, if it is to the same source; else another. Throws as `openInput`. */
  open(options: InputOptions): Promise<OpenInput>;
  /** To be called when a part has ended, with why; null: nothing was recorded of it. */
  release(input: OpenInput, cause: PartEnd | null): Promise<void>;
  close(): Promise<void>;
}

export function createHeldInput(): HeldInput {
  const sources = new WeakMap<OpenInput, string>();
  let kept: OpenInput | null = null;

  async function close(): Promise<void> {
    const old = kept;
    kept = null;
    await old?.close();
  }

  return {
    async open(options) {
      const source = JSON.stringify(options.recording.input);
      if (kept && sources.get(kept) === source) {
        const input = kept;
        kept = null;
        return input;
      }
      await close();
      const input = await openInput(options);
      sources.set(input, source);
      return input;
    },
    async release(input, cause) {
      if (isKept(input, cause)) kept = input;
      else await input.close();
    },
    close,
  };
}

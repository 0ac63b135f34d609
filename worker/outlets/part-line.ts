/** The parts of a recording as those who follow it while it goes on see them: one after the other, each until it is closed. */

export interface OpenPart {
  number: number;
  /** May not be there yet. */
  file: string;
  /** Nothing more is written into it. */
  isClosed(): boolean;
}

export interface PartLine {
  began(number: number, file: string): void;
  ended(number: number): void;
  /** No part follows any more. */
  close(): void;
  /** Aborted then. */
  over: AbortSignal;
  /** The first part with a number above `after`, once there is one; null when none will come. Rejects with the signal's reason. */
  next(after: number, signal: AbortSignal): Promise<OpenPart | null>;
  /** The same, of those that are being written. */
  nextOpen(signal: AbortSignal): Promise<OpenPart | null>;
}

export function createPartLine(): PartLine {
  const parts: OpenPart[] = [];
  const closed = new Set<number>();
  const waiting = new Set<() => void>();
  const over = new AbortController();
  const wake = () => {
    for (const resolve of [...waiting]) resolve();
  };

  async function find(isWanted: (part: OpenPart) => boolean, signal: AbortSignal): Promise<OpenPart | null> {
    for (;;) {
      signal.throwIfAborted();
      const found = parts.find(isWanted);
      if (found || over.signal.aborted) return found ?? null;
      await new Promise<void>((resolve) => {
        const done = () => {
          waiting.delete(done);
          signal.removeEventListener('abort', done);
          resolve();
        };
        waiting.add(done);
        signal.addEventListener('abort', done, { once: true });
      });
    }
  }

  return {
    began(number, file) {
      parts.push({ number, file, isClosed: () => closed.has(number) });
      wake();
    },
    ended: (number) => void closed.add(number),
    over: over.signal,
    close() {
      over.abort();
      wake();
    },
    next: (after, signal) => find(({ number }) => number > after, signal),
    nextOpen: (signal) => find((part) => !part.isClosed(), signal),
  };
}

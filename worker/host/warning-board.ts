/** What is wrong with a recording at the moment, as the status file tells it. */
import type { HostWarning } from '../../src/jobs/capture.js';
import { type WarningCode, warnings } from '../../src/jobs/warnings.js';

export interface WarningBoard {
  /** Puts a warning up, with what is known more exactly. Changes nothing while it is up. `since`: epoch milliseconds. */
  raise(code: WarningCode, detail: string, since?: number): void;
  clear(...codes: WarningCode[]): void;
  all(): HostWarning[];
}

export function createWarningBoard(note: (text: string) => void): WarningBoard {
  const raised = new Map<WarningCode, HostWarning>();
  return {
    raise(code, detail, since = Date.now()) {
      if (raised.has(code)) return;
      raised.set(code, { code, since: Math.round(since), message: `${warnings[code]} ${detail}`.trim() });
      note(`warning ${code}: ${detail}`);
    },
    clear(...codes) {
      for (const code of codes) if (raised.delete(code)) note(`well again: ${code}`);
    },
    all: () => [...raised.values()],
  };
}

/** Tells what lasts from what passes: bad for so long raises, well for so long clears. */
export interface Condition {
  /** Says how it is now; `detail` is asked for when the warning is put up. */
  see(isBad: boolean, detail: () => string): void;
  /** Forgets what was seen, since it is not looked at for a while. A warning that is up stays. */
  forget(): void;
}

export function createCondition(
  board: WarningBoard,
  code: WarningCode,
  limits: { raiseAfterMs: number; clearAfterMs: number },
): Condition {
  let last: boolean | null = null;
  let sinceMs = 0;
  return {
    see(isBad, detail) {
      const now = performance.now();
      if (isBad !== last) sinceMs = now;
      last = isBad;
      const lastedMs = now - sinceMs;
      if (isBad && lastedMs >= limits.raiseAfterMs) board.raise(code, detail(), Date.now() - lastedMs);
      if (!isBad && lastedMs >= limits.clearAfterMs) board.clear(code);
    },
    forget() {
      last = null;
    },
  };
}

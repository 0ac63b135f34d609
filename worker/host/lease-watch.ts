/** Notices that nobody watches this host any more. */
import { join } from 'node:path';
import { type HostLease, hostFiles } from '../../src/jobs/capture.js';
import { readJson } from './atomic-file.js';

const longestCheckMs = 5_000;

/**
 * Calls `onExpired` once when the lease was not renewed for `timeoutMs`. Time is counted by this process's monotonic clock
 * since it last saw a new lease, so that neither a changed wall clock nor a machine that slept ends a recording.
 */
export function watchLease(folder: string, timeoutMs: number, onExpired: () => void): { close(): void } {
  let renewedAt = read();
  let seenAt = performance.now();
  const timer = setInterval(
    () => {
      const now = read();
      if (now !== null && now !== renewedAt) {
        renewedAt = now;
        seenAt = performance.now();
      } else if (performance.now() - seenAt > timeoutMs) {
        clearInterval(timer);
        onExpired();
      }
    },
    Math.min(longestCheckMs, timeoutMs / 4),
  );
  return { close: () => clearInterval(timer) };

  function read(): number | null {
    try {
      return readJson<HostLease>(join(folder, hostFiles.lease))?.renewedAt ?? null;
    } catch {
      // Unreadable counts as not renewed.
      return null;
    }
  }
}

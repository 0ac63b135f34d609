/** Open streams and sockets: ended when their credentials are revoked, and when the server stops. */
import type { Logger } from 'pino';
import { requestError } from './errors.js';

/** How often credentials are looked at again: the longest that a revoked key goes on receiving. */
const recheckMs = 3_000;

export type EndStream = (reason: Error) => void;

export interface StreamKeeper {
  /** Calls `end`, once, when the token no longer stands for anybody or the server stops. Answers how to forget it. */
  keep(token: string, end: EndStream): () => void;
  close(): void;
}

/** One question per distinct token and round, however many streams are open with it. */
export function createStreamKeeper(isValid: (token: string) => Promise<boolean>, log: Logger): StreamKeeper {
  const streams = new Map<string, Set<EndStream>>();
  let closed = false;
  let timer: NodeJS.Timeout | undefined;

  function endAll(token: string, reason: Error): void {
    const ends = streams.get(token) ?? [];
    streams.delete(token);
    for (const end of ends) end(reason);
  }

  async function recheck(): Promise<void> {
    for (const token of [...streams.keys()]) {
      // A database that does not answer says nothing about a key.
      const valid = await isValid(token).catch((error: unknown) => {
        log.warn({ err: error }, 'the credentials of open streams could not be checked');
        return true;
      });
      if (!valid) endAll(token, requestError('UNAUTHENTICATED', 'These credentials have been revoked.'));
    }
  }

  function schedule(): void {
    if (!closed) timer = setTimeout(() => void recheck().finally(schedule), recheckMs);
  }
  schedule();

  return {
    keep(token, end) {
      const ends = streams.get(token) ?? new Set();
      streams.set(token, ends);
      ends.add(end);
      return () => {
        ends.delete(end);
        if (ends.size === 0 && streams.get(token) === ends) streams.delete(token);
      };
    },
    close() {
      closed = true;
      clearTimeout(timer);
      const reason = Object.assign(new Error('The server stops.'), { name: 'AbortError' });
      for (const token of [...streams.keys()]) endAll(token, reason);
    },
  };
}

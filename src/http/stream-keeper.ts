/** Open streams and sockets: counted per token, ended when their credentials end, and when the server stops. */
import type { Logger } from 'pino';
import { atTime } from '../at-time.js';
import type { Authenticator } from '../auth/authenticate.js';
import type { Viewer } from '../auth/viewer.js';
import { repeat } from '../repeat.js';
import { requestError } from './errors.js';

/** How often credentials are looked at without being told to: the longest that a revoked key goes on receiving. */
const recheckMs = 3_000;
/** A stream that was authenticated just before a revocation may be kept only after it was looked for: look again. */
const secondLookMs = 500;
/** A question that was lost with its connection would keep every later one waiting, until TCP gives up after a quarter of an hour. */
const answerLimitMs = 5_000;

export type EndStream = (reason: Error) => void;

export interface StreamKeeper {
  /**
   * Counts a stream, and calls `end`, once, when its credentials are revoked or expire (the reason is UNAUTHENTICATED)
   * or the server stops (the reason's name is AbortError). Answers how to forget it, which may be done twice; null when
   * the token has as many as it may, and nothing is kept.
   */
  keep(token: string, viewer: Viewer, end: EndStream): (() => void) | null;
  /** Look now: a key was revoked. */
  recheck(): void;
  close(): void;
}

/** What one token has open. */
interface Holder {
  ends: Set<EndStream>;
  /** Forgets that its credentials will expire. */
  forgetExpiry: () => void;
}

export function createStreamKeeper(deps: {
  authenticator: Pick<Authenticator, 'findEnded'>;
  /** Streams and sockets of one token in this process. */
  connectionsPerKey: number;
  log: Logger;
}): StreamKeeper {
  const { authenticator, connectionsPerKey, log } = deps;
  const holders = new Map<string, Holder>();
  let secondLook: NodeJS.Timeout | undefined;
  let closed = false;

  function endAll(token: string, reason: Error): void {
    const holder = holders.get(token);
    if (!holder) return;
    forget(token, holder);
    for (const end of [...holder.ends]) end(reason);
  }

  function forget(token: string, holder: Holder): void {
    holder.forgetExpiry();
    if (holders.get(token) === holder) holders.delete(token);
  }

  const rounds = repeat(
    recheckMs,
    async () => {
      if (holders.size === 0) return;
      for (const token of await inTime(authenticator.findEnded([...holders.keys()]))) endAll(token, ended());
    },
    // A database that does not answer says nothing about a key.
    (error) => log.warn({ err: error }, 'the credentials of open streams could not be checked'),
  );

  return {
    keep(token, viewer, end) {
      if (closed) {
        end(stopping());
        return () => {};
      }
      const known = holders.get(token);
      if (known && known.ends.size >= connectionsPerKey) return null;
      const holder: Holder = known ?? { ends: new Set(), forgetExpiry: () => {} };
      if (!known) {
        holders.set(token, holder);
        const expiresAt = viewer.kind === 'job' ? undefined : viewer.expiresAt;
        if (expiresAt) holder.forgetExpiry = atTime(expiresAt.getTime(), () => endAll(token, ended()));
      }
      holder.ends.add(end);
      return () => {
        holder.ends.delete(end);
        if (holder.ends.size === 0) forget(token, holder);
      };
    },
    recheck() {
      rounds.now();
      clearTimeout(secondLook);
      secondLook = setTimeout(() => rounds.now(), secondLookMs);
    },
    close() {
      closed = true;
      clearTimeout(secondLook);
      void rounds.close();
      for (const token of [...holders.keys()]) endAll(token, stopping());
    },
  };
}

/** Rejects when there is no answer within the limit. */
async function inTime<Answer>(asked: Promise<Answer>): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`The database did not answer within ${answerLimitMs} ms.`)),
      answerLimitMs,
    );
  });
  return Promise.race([asked, late]).finally(() => clearTimeout(timer));
}

const ended = () => requestError('UNAUTHENTICATED', 'These credentials were revoked or have expired. Use others.');

function stopping(): Error {
  return Object.assign(new Error('The server stops.'), { name: 'AbortError' });
}

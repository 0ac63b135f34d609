/** Records those who publish in a room to files of their own, over any number of connections to the media server. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type Config, requireMediaServer } from '../../src/config.js';
import type { TrackEnd } from '../../src/jobs/capture.js';
import { connectMediaServer } from '../../src/media/connect.js';
import { isVisible, parseMediaId } from '../../src/media/identity.js';
import type { MediaParticipant, MediaServer, RoomNews, TrackKind } from '../../src/media/media-server.js';
import type { TrackLedger } from './ledger.js';
import { type PublicationRecording, recordPublication } from './publication.js';
import { routeTo } from './route.js';

export interface RoomTracksOptions {
  config: Config;
  roomId: string;
  /** Identities of those who are recorded; null: everybody. */
  users: readonly string[] | null;
  /** The identity that this host joins with, unseen; null: one of its own. */
  joinAs: string | null;
  /** Tracks of others are left out. */
  kinds: readonly TrackKind[];
  /** Somebody who is not recorded: what this host itself publishes there. */
  except: string | null;
  ledger: TrackLedger;
  ffmpeg: string;
  /** Of the incarnation. */
  folder: string;
  log: Logger;
}

export interface TracksRecording {
  /** Whether to record. Files that are open end, and others begin. */
  set(isWanted: boolean): void;
  /** Resolves when all files are closed. Never throws. */
  close(): Promise<void>;
}

// Participants whose files are written at once: each takes four ports, a process and 1 % of a core.
const mostAtOnce = 50;
const firstPauseMs = 250;
const longestPauseMs = 5_000;
/** Losses that are mended this soon are no reason to warn of. */
const toldAfterMs = 3_000;

/** Follows the room from now on, and records while it is wanted. Never throws: what goes wrong is told as a warning. */
export function recordRoom(options: RoomTracksOptions): TracksRecording {
  const { config, roomId, users, kinds, except, ledger, ffmpeg, folder, log } = options;
  const closing = new AbortController();
  const closed = new Promise<void>((resolve) => closing.signal.addEventListener('abort', () => resolve()));
  const published = new Map<string, MediaParticipant>();
  const recordings = new Map<string, { signature: string; recording: PublicationRecording }>();
  const ending = new Set<Promise<void>>();
  let isWanted = false;
  let place: { server: MediaServer; address: string; from: string } | null = null;

  function hear(news: RoomNews): void {
    if (news.type === 'unpublished') published.delete(news.mediaId);
    else {
      const { participant } = news;
      const tracks = participant.tracks.filter(({ kind }) => kinds.includes(kind));
      if (tracks.length === 0) published.delete(participant.mediaId);
      else published.set(participant.mediaId, { ...participant, tracks });
    }
    follow('LEFT');
  }

  /** Brings what is recorded into line with what is published and wanted. */
  function follow(cause: TrackEnd): void {
    for (const [mediaId, { signature }] of recordings) {
      const participant = published.get(mediaId);
      if (!isWanted || !participant || !place) end(mediaId, cause);
      else if (signatureOf(participant) !== signature) end(mediaId, 'CHANGED');
    }
    if (!isWanted || !place) return;
    const wanted = [...published.values()].filter(({ mediaId }) => isToBeRecorded(mediaId));
    for (const participant of wanted) begin(participant, place);
    const left = wanted.filter(({ mediaId }) => !recordings.has(mediaId));
    ledger.problem('too many', left.length === 0 ? null : `Only ${mostAtOnce} participants are recorded at once.`);
  }

  function isToBeRecorded(mediaId: string): boolean {
    if (!isVisible(mediaId) || mediaId === except) return false;
    return users === null || users.includes(parseMediaId(mediaId)?.identity ?? '');
  }

  function begin(participant: MediaParticipant, { server, address, from }: NonNullable<typeof place>): void {
    const { mediaId } = participant;
    if (recordings.has(mediaId) || recordings.size >= mostAtOnce) return;
    const recording = recordPublication({
      ...{ participant, ledger, ffmpeg, folder },
      source: {
        ...{ address, from },
        forward: (tracks) => server.forward(roomId, mediaId, address, tracks),
        stopForward: (streamId) => server.stopForward(roomId, mediaId, streamId),
      },
    });
    recordings.set(mediaId, { signature: signatureOf(participant), recording });
  }

  function end(mediaId: string, cause: TrackEnd): void {
    const ended = recordings.get(mediaId)?.recording.end(cause);
    recordings.delete(mediaId);
    if (!ended) return;
    ending.add(ended);
    void ended.then(() => ending.delete(ended));
  }

  async function stay(): Promise<void> {
    const server = await connectMediaServer(requireMediaServer(config), { log });
    try {
      place = { server, ...(await routeTo(requireMediaServer(config).url)) };
      await server.follow(roomId, hear, options.joinAs ?? undefined);
      ledger.problem('media server', null);
      await Promise.race([server.ended, closed]);
    } finally {
      place = null;
      published.clear();
      if (!closing.signal.aborted) follow('MEDIA_SERVER_LOST');
      else await Promise.all(ending);
      await server.close().catch(() => {});
    }
  }

  async function run(): Promise<void> {
    let pauseMs = firstPauseMs;
    let awaySinceMs = performance.now();
    while (!closing.signal.aborted) {
      const startedAtMs = performance.now();
      const problem = await stay().then(() => null, String);
      if (closing.signal.aborted) return;
      const now = performance.now();
      if (problem === null) awaySinceMs = now;
      log.warn({ problem }, 'the media server is gone; trying again');
      pauseMs = now - startedAtMs > longestPauseMs ? firstPauseMs : Math.min(longestPauseMs, pauseMs * 2);
      if (now - awaySinceMs > toldAfterMs)
        ledger.problem('media server', `The media server cannot be reached. ${problem ?? ''}`.trim());
      await sleep(pauseMs, undefined, { signal: closing.signal }).catch(() => {});
    }
  }
  const running = run();

  return {
    set(wanted) {
      if (closing.signal.aborted) return;
      isWanted = wanted;
      follow('PAUSED');
    },
    async close() {
      isWanted = false;
      follow('STOPPED');
      closing.abort();
      await Promise.all([running, ...ending]);
    },
  };
}

/** Another one means another file: a file has the tracks it began with. */
export const signatureOf = ({ tracks }: MediaParticipant): string =>
  JSON.stringify(tracks.map(({ mid, kind, codec }) => [mid, kind, codec]).sort());

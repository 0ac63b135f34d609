/** One participant of a room as an input: waited for by identity, and ended when they leave, or publish something else. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import type { MediaServerAddress } from '../../src/config.js';
import { connectMediaServer } from '../../src/media/connect.js';
import { isVisible, parseMediaId } from '../../src/media/identity.js';
import type { Forwarded, MediaParticipant, MediaServer, MediaTrack, RoomNews } from '../../src/media/media-server.js';
import { unlessAborted } from '../capture/time-limit.js';
import { type Flow, forwardFlows, liveFlows, openFlow, type PacketSource, zeroOf } from '../tracks/flows.js';
import { areListening, findPortPair } from '../tracks/ports.js';
import { signatureOf } from '../tracks/room-tracks.js';
import { routeTo } from '../tracks/route.js';
import { type DescribedTrack, describeSession, isRecordable } from '../tracks/session-description.js';
import { describedInput } from '../tracks/writer.js';
import { type InputOptions, type OpenInput, plainInput } from './open-input.js';

const firstPauseMs = 250;
const longestPauseMs = 5_000;
// ffmpeg listens after 50 ms; a machine with too much to do was seen to need seconds.
const listenLimitMs = 15_000;
const listenLookMs = 20;

/** Waits until they publish, over any number of connections to the media server. Throws the signal's reason. */
export async function openParticipant(options: InputOptions): Promise<OpenInput> {
  const { mediaServer, note, signal } = options;
  if (!mediaServer) throw new Error('No media server is known: set JANUS_URL.');
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
    signal.throwIfAborted();
    const input = await attempt(options, mediaServer).catch((error: unknown) => {
      signal.throwIfAborted();
      note(`waiting for the participant: ${error instanceof Error ? error.message : String(error)}`);
      return null;
    });
    if (input) return input;
    await sleep(pauseMs, undefined, { signal }).catch(() => {});
  }
}

/** Over one connection, which is closed when it fails. */
async function attempt(options: InputOptions, address: MediaServerAddress): Promise<OpenInput | null> {
  const { roomId } = options.recording.input;
  const server = await connectMediaServer(address, { log: pino({ level: 'silent' }) });
  const visit = createVisit(options);
  try {
    const route = await routeTo(address.url);
    const lost = server.ended.then((error): never => {
      throw error;
    });
    lost.catch(() => {});
    await server.follow(roomId as string, visit.hear);
    for (;;) {
      const participant = await unlessAborted(options.signal, Promise.race([visit.published(), lost]));
      const input = await receive(options, server, participant, route, visit).catch((error: unknown) => {
        // They may have left again, which is heard of a moment later.
        options.note(`the participant does not come: ${error instanceof Error ? error.message : String(error)}`);
        return null;
      });
      if (input) return input;
      await Promise.race([sleep(firstPauseMs), lost]);
    }
  } catch (error) {
    await server.close().catch(() => {});
    throw error;
  }
}

interface Visit {
  hear(news: RoomNews): void;
  /** Resolves with what they publish, as soon as they do. */
  published(): Promise<MediaParticipant>;
  /** Resolves when that publication is another one, or gone. */
  changed(participant: MediaParticipant): Promise<void>;
}

function createVisit({ recording }: InputOptions): Visit {
  const { identity } = recording.input;
  const kinds = [...(recording.output.hasAudio ? ['AUDIO'] : []), ...(recording.output.hasVideo ? ['VIDEO'] : [])];
  const there = new Map<string, MediaParticipant>();
  let wake: (() => void)[] = [];

  async function until<T>(look: () => T | null): Promise<T> {
    for (;;) {
      const found = look();
      if (found !== null) return found;
      await new Promise<void>((resolve) => wake.push(resolve));
    }
  }

  return {
    hear(news) {
      const mediaId = news.type === 'published' ? news.participant.mediaId : news.mediaId;
      if (parseMediaId(mediaId)?.identity !== identity || !isVisible(mediaId)) return;
      const tracks = news.type === 'published' ? usable(news.participant.tracks, kinds) : [];
      if (news.type === 'published' && tracks.length > 0) there.set(mediaId, { ...news.participant, tracks });
      else there.delete(mediaId);
      const waiting = wake;
      wake = [];
      for (const each of waiting) each();
    },
    // Of several visits, the one that came last.
    published: () => until(() => [...there.values()].at(-1) ?? null),
    changed: (participant) =>
      until(() => {
        const now = there.get(participant.mediaId);
        return now && signatureOf(now) === signatureOf(participant) ? null : undefined;
      }).then(() => {}),
  };
}

/** One of each kind: rather who they are than what they show. */
function usable(tracks: readonly MediaTrack[], kinds: readonly string[]): MediaTrack[] {
  return kinds.flatMap((kind) => {
    const those = tracks.filter((track) => track.kind === kind && isRecordable(track.codec));
    const own = those.find(({ source }) => source !== 'screen') ?? those[0];
    return own ? [own] : [];
  });
}

/** Null when they were gone before anything came. */
async function receive(
  { folder, part, note, recording, signal }: InputOptions,
  server: MediaServer,
  participant: MediaParticipant,
  route: { address: string; from: string },
  visit: Visit,
): Promise<OpenInput | null> {
  const roomId = recording.input.roomId as string;
  const { mediaId } = participant;
  const source: PacketSource = {
    ...route,
    forward: (tracks) => server.forward(roomId, mediaId, route.address, tracks),
    stopForward: (streamId) => server.stopForward(roomId, mediaId, streamId),
  };
  const flows: Flow[] = [];
  let forwarded: Forwarded[] = [];
  let closing: Promise<void> | null = null;

  async function closeFlows(): Promise<void> {
    for (const { relay } of flows) relay.close();
    for (const { streamId } of forwarded) await source.stopForward(streamId).catch(() => {});
  }
  function close(): Promise<void> {
    closing ??= closeFlows().then(() => server.close().catch(() => {}));
    return closing;
  }

  try {
    for (const track of participant.tracks) flows.push(await openFlow(track, source));
    forwarded = await forwardFlows(flows, source);
    const gone = new AbortController();
    const ended = Promise.race([visit.changed(participant), server.ended.then(() => {})]);
    void ended.then(() => gone.abort());
    const live = await liveFlows(flows, AbortSignal.any([gone.signal, signal]));
    signal.throwIfAborted();
    if (!live || live.length === 0) {
      await closeFlows();
      return null;
    }
    const described: DescribedTrack[] = [];
    for (const { track } of live) described.push({ ...track, port: await findPortPair() });
    const file = join(folder, `p${part}.sdp`);
    writeFileSync(file, describeSession(described), { mode: 0o600 });
    const missing = flows.filter((flow) => !live.includes(flow));
    note(`${mediaId} publishes ${live.map(({ track }) => track.codec).join(' and ')}`);

    async function finish(why: string): Promise<void> {
      note(`${mediaId}: ${why}`);
      // ffmpeg is told that it is over, and closes its file by itself.
      await Promise.all(live?.map(({ relay }) => relay.finish()) ?? []);
    }

    return {
      ...plainInput(describedInput(`file:${file}`)),
      async begun() {
        const ports = described.flatMap(({ port }) => [port, port + 1]);
        for (const untilMs = performance.now() + listenLimitMs; !areListening(ports); await sleep(listenLookMs)) {
          if (closing) return;
          if (performance.now() > untilMs) throw new Error('ffmpeg does not listen for the participant.');
        }
        const zeroMs = zeroOf(live);
        // A jump of its time has taken away what there was.
        if (zeroMs === null) throw new Error('What the participant sends has begun anew.');
        for (const [index, { relay }] of live.entries()) relay.passOn(described[index]?.port as number, zeroMs);
        void Promise.race([
          ended.then(() => 'it has ended, or changed'),
          ...missing.map(({ relay, track }) => relay.flows().then(() => `its ${track.kind.toLowerCase()} has come`)),
          ...live.map(({ relay }) => relay.jumped().then(() => 'its time has jumped')),
        ]).then((why) => (closing ? undefined : finish(why)));
      },
      close,
    };
  } catch (error) {
    await closeFlows();
    throw error;
  }
}

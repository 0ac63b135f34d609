/** The tracks of one participant on their way here: each is forwarded to a relay of its own, and some may be muted. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Forwarded, ForwardWish, MediaTrack } from '../../src/media/media-server.js';
import { openRelay, type TrackRelay } from './relay.js';
import { payloadTypes } from './session-description.js';

/** How packets of the participant come here. */
export interface PacketSource {
  /** Our address, as the media server reaches it. */
  address: string;
  /** The media server's own, from which packets come. */
  from: string;
  forward(tracks: ForwardWish[]): Promise<Forwarded[]>;
  stopForward(streamId: string): Promise<void>;
}

export interface Flow {
  track: MediaTrack;
  relay: TrackRelay;
}

// Sound comes at once; who has a camera off sends no picture at all.
const silentMs = 1_500;
// The first picture comes a round trip after it was asked for; an encoder that is not asked sends one every few seconds.
const laggardMs = 10_000;
const laggardLookMs = 50;

/** Throws when there is no port to listen at. */
export async function openFlow(track: MediaTrack, { address, from }: PacketSource): Promise<Flow> {
  return { track, relay: await openRelay({ address, from, codec: track.codec }) };
}

/** Has them sent. Answers what stops that. Throws what the media server says. */
export async function forwardFlows(flows: readonly Flow[], source: PacketSource): Promise<Forwarded[]> {
  const wishes = flows.map(({ track, relay }) => ({
    ...{ mid: track.mid, port: relay.port, payloadType: payloadTypes[track.kind], ssrc: relay.ssrc },
  }));
  const forwarded = await source.forward(wishes);
  for (const { track, relay } of flows) {
    const rtcpPort = forwarded.find(({ mid }) => mid === track.mid)?.rtcpPort;
    if (rtcpPort) relay.askAt({ host: source.from, port: rtcpPort });
  }
  return forwarded;
}

/** Those that a file can begin with, once there is one and the others had their time; null when it was ended before. */
export async function liveFlows(flows: readonly Flow[], signal: AbortSignal): Promise<Flow[] | null> {
  const ended = new Promise<'end'>((resolve) => {
    if (signal.aborted) resolve('end');
    signal.addEventListener('abort', () => resolve('end'), { once: true });
  });
  const first = await Promise.race([ended, ...flows.map(({ relay }) => relay.flows())]);
  if (first === 'end') return null;
  const startedAtMs = performance.now();
  const isLate = ({ relay }: Flow): boolean =>
    !relay.isFlowing() && performance.now() - startedAtMs < (relay.isComing() ? laggardMs : silentMs);
  while (flows.some(isLate) && !signal.aborted) await sleep(laggardLookMs);
  return signal.aborted ? null : flows.filter(({ relay }) => relay.isFlowing());
}

/** Wall clock (epoch ms) of the earliest media that is there; null when a jump of its time has taken some away. */
export function zeroOf(live: readonly Flow[]): number | null {
  const starts = live.map(({ relay }) => relay.firstMs()).filter((at) => at !== null);
  return starts.length < live.length || starts.length === 0 ? null : Math.floor(Math.min(...starts));
}

/** One connection for everything that is watched in a room: it follows what is wanted, one negotiation at a time. */
import type { Handle, Jsep, RoomMessage, Session } from './janus.js';

/** A track of a participant: `feed` is a media id, `mid` names the track there. */
export interface Wanted {
  feed: string;
  mid: string;
}

export const trackKey = ({ feed, mid }: Wanted): string => `${feed} ${mid}`;

export interface Subscription {
  /** From now on these are wanted, and no others. */
  want(tracks: readonly Wanted[]): void;
  /** What is received now, by trackKey. */
  tracks(): ReadonlyMap<string, MediaStreamTrack>;
  /** Null while nothing was ever wanted. */
  connection(): RTCPeerConnection | null;
}

// What is refused is most often a track that has just gone, of which we are about to hear, or one that is about to begin.
const retryMs = 300;
// A negotiation takes some 50 ms; one that hangs is only mended by a new connection.
const negotiationLimitMs = 10_000;

/**
 * `reply`: to a request. `offer`: it was put off until after an offer that the media server made by itself, because somebody
 * left; the next offer contains it. Asking again would give every track twice.
 */
type Due = 'reply' | 'offer' | null;

/** `onChange`: what is received changed. `onDown`: it cannot go on, everything has to be built anew. */
export function createSubscription(
  session: Session,
  { onChange, onDown }: { onChange: () => void; onDown: (reason: string) => void },
): Subscription {
  let wanted: readonly Wanted[] = [];
  /** By trackKey: the mid on our own connection. */
  let held = new Map<string, string>();
  let received = new Map<string, MediaStreamTrack>();
  let handle: Handle | null = null;
  let hasJoined = false;
  let due: Due = null;
  let asked: string[] = [];
  let answers = 0;
  let answering: Promise<void> = Promise.resolve();
  let limit: ReturnType<typeof setTimeout> | undefined;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let isDown = false;

  return {
    want(tracks) {
      wanted = tracks;
      step();
    },
    tracks: () => received,
    connection: () => handle?.connection() ?? null,
  };

  function down(reason: string): void {
    if (isDown) return;
    isDown = true;
    clearTimeout(limit);
    clearTimeout(retry);
    onDown(reason);
  }

  /** Asks for the difference between what is wanted and what is held, unless something is still under way. */
  function step(): void {
    clearTimeout(limit);
    if (isDown) return;
    if (due !== null || answers > 0) {
      limit = setTimeout(() => down('The media server did not answer.'), negotiationLimitMs);
      return;
    }
    const keys = new Set(wanted.map(trackKey));
    const unsubscribe = [...held].filter(([key]) => !keys.has(key)).map(([, sub_mid]) => ({ sub_mid }));
    const subscribe = wanted.filter((track) => !held.has(trackKey(track)));
    if (unsubscribe.length > 0) ask([], { request: 'update', unsubscribe });
    else if (subscribe.length > 0) {
      const names = subscribe.map(trackKey);
      if (hasJoined) ask(names, { request: 'update', subscribe });
      // With use_msid sound and picture of one participant belong together, so that the browser keeps them in step.
      else ask(names, { request: 'join', ptype: 'subscriber', use_msid: true, streams: subscribe });
    }
  }

  function ask(names: string[], request: Parameters<Handle['send']>[0]): void {
    due = 'reply';
    asked = names;
    step();
    void attached()
      .then((to) => to.send(request))
      .catch((error: Error) => down(error.message));
  }

  async function attached(): Promise<Handle> {
    handle ??= await session.attach({ onMessage, onDown: down });
    return handle;
  }

  function onMessage(message: RoomMessage, jsep: Jsep | undefined): void {
    if (isDown) return;
    if (message.videoroom === 'updating') due = 'offer';
    else if (jsep) {
      hasJoined = true;
      hold(message);
      const isOurs = asked.length === 0 || asked.some((key) => held.has(key));
      if (due === 'offer' || isOurs) due = null;
      answers++;
      answering = answering
        .then(() => answer(jsep))
        .catch((error: Error) => down(error.message))
        .then(() => {
          answers--;
          step();
        });
    } else if (message.error_code !== undefined || message.videoroom === 'updated') {
      due = null;
      clearTimeout(retry);
      retry = setTimeout(step, retryMs);
    }
  }

  function hold({ streams = [] }: RoomMessage): void {
    held = new Map(
      streams.flatMap(({ active, feed_id: feed, feed_mid, mid }) =>
        active && feed && feed_mid ? [[trackKey({ feed, mid: feed_mid }), mid] as const] : [],
      ),
    );
  }

  async function answer(offer: Jsep): Promise<void> {
    if (!handle) return;
    const now = [...held];
    const jsep = await handle.answer(offer);
    await handle.send({ request: 'start' }, jsep);
    const transceivers = handle.connection()?.getTransceivers() ?? [];
    const byMid = new Map(transceivers.map((each) => [each.mid, each.receiver.track]));
    received = new Map(
      now.flatMap(([key, mid]) => {
        const track = byMid.get(mid);
        return track ? [[key, track] as const] : [];
      }),
    );
    onChange();
  }
}

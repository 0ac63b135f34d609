/** A visit to a room: who publishes there and their tracks, received and sent, for as long as the page is open. */
import {
  type AnnouncedPublisher,
  type Handle,
  openSession,
  type RoomMessage,
  type Session,
  type SessionEnd,
} from './janus.js';
import { createPublication, type LocalTrack, type Publication, type Source, type VideoCodec } from './publication.js';
import { createSubscription, type Subscription, trackKey } from './subscription.js';

export interface RemoteTrack {
  mid: string;
  kind: 'audio' | 'video';
  /** As the publisher says; null when it does not. */
  source: Source | null;
  /** Stopped for everybody by a moderator. */
  muted: boolean;
  /** Null until it is received. */
  track: MediaStreamTrack | null;
}

export interface Participant {
  mediaId: string;
  name: string;
  tracks: RemoteTrack[];
}

/** `refused`: for good, `message` says why. */
export type Connection = { state: 'connecting' | 'connected' } | { state: 'refused'; message: string };

export interface RoomClient {
  readonly connection: Connection;
  /** Whether the media server took what is to be published. */
  readonly isPublished: boolean;
  /** In an order that lasts: by name at first, then as they come. Who comes back returns to their place. */
  participants(): Participant[];
  /** Replaces what is published, over every loss of the connection; rejects when the media server refuses it. */
  publish(tracks: readonly LocalTrack[]): Promise<void>;
  send(source: Source, sends: boolean): Promise<void>;
  /** Of the connection that receives: for its statistics. */
  receiving(): RTCPeerConnection | null;
  leave(): void;
}

export interface RoomClientOptions {
  url: string;
  /** Whether others are watched at all. */
  watches: boolean;
  codec: VideoCodec;
  keepSize: boolean;
  hidden: ReadonlySet<string>;
  /** Anything of it is different now. */
  onChange: () => void;
}

const firstRetryMs = 250;
const longestRetryMs = 5_000;
// A connection that lasted for so long was a good one: the next loss begins with a short wait again.
const goodVisitMs = 5_000;

const removal = 'You were removed from this room.';

/** In words, when it is for good; null when it is worth coming back. */
function refusal({ code, reason }: SessionEnd): string | null {
  if (code === 4401) return 'This link is not valid. Ask for a new one.';
  if (code === 4403) return /removed/i.test(reason) ? removal : 'This link has expired. Ask for a new one.';
  if (code === 4404) return 'This room does not exist any more.';
  return null;
}

/** Joins, and joins again whenever the connection is lost, until it is refused or left. */
export function joinRoom(options: RoomClientOptions): RoomClient {
  let connection: Connection = { state: 'connecting' };
  const publishers = new Map<string, AnnouncedPublisher>();
  const places: string[] = [];
  let local: readonly LocalTrack[] = [];
  const silenced = new Set<Source>();
  let session: Session | null = null;
  let publication: Publication | null = null;
  let subscription: Subscription | null = null;
  let hasLeft = false;
  let isRemoved = false;
  void stay();

  return {
    get connection() {
      return connection;
    },
    get isPublished() {
      return publication?.isPublished ?? false;
    },
    participants: () =>
      [...publishers.values()]
        .sort((a, b) => places.indexOf(placeOf(a)) - places.indexOf(placeOf(b)) || (a.id < b.id ? -1 : 1))
        .map((publisher) => participant(publisher, subscription?.tracks())),
    async publish(tracks) {
      local = tracks;
      await publication?.publish(tracks);
      options.onChange();
    },
    async send(source, sends) {
      if (sends) silenced.delete(source);
      else silenced.add(source);
      await publication?.send(source, sends);
    },
    receiving: () => subscription?.connection() ?? null,
    leave() {
      hasLeft = true;
      session?.close();
    },
  };

  async function stay(): Promise<void> {
    let retryMs = firstRetryMs;
    while (!hasLeft) {
      const begun = performance.now();
      const end = await visit();
      publishers.clear();
      ({ session, publication, subscription } = { session: null, publication: null, subscription: null });
      const message = isRemoved ? removal : refusal(end);
      connection = message && !hasLeft ? { state: 'refused', message } : { state: 'connecting' };
      options.onChange();
      if (message) return;
      if (performance.now() - begun > goodVisitMs) retryMs = firstRetryMs;
      await new Promise((resolve) => setTimeout(resolve, retryMs));
      retryMs = Math.min(longestRetryMs, retryMs * 2);
    }
  }

  /** Resolves with how its connection ended. */
  async function visit(): Promise<SessionEnd> {
    const opened = await openSession(options.url);
    if (!('attach' in opened)) return opened;
    session = opened;
    // `leave` may have been called while it was being opened.
    if (hasLeft) opened.close();
    const down = () => opened.close();
    if (options.watches) subscription = createSubscription(opened, { onChange: options.onChange, onDown: down });
    try {
      const handle: Handle = await opened.attach({
        onMessage(message, jsep) {
          publication?.onMessage(message, jsep);
          if (message.videoroom === 'joined') joined(handle);
          // Such as 426: the room is not there yet after the media server was started anew.
          const isLost = connection.state !== 'connected' && message.error_code !== undefined;
          if (isLost || message.videoroom === 'destroyed') return down();
          // Who is removed is told "ok" in place of an id.
          if (message.leaving === 'ok' && message.reason === 'kicked') return removed(opened);
          note(message);
        },
        onDown: down,
      });
      await handle.send({ request: 'join', ptype: 'publisher' });
    } catch {
      down();
    }
    return opened.ended;

    function removed(from: Session): void {
      isRemoved = true;
      from.close();
    }

    function joined(handle: Handle): void {
      connection = { state: 'connected' };
      publication = createPublication(handle, options.codec, options.keepSize);
      if (local.length === 0) return;
      const restored = publication
        .publish(local)
        .then(() => Promise.all([...silenced].map((source) => publication?.send(source, false))))
        .then(options.onChange);
      // What cannot be published again now may be next time.
      restored.catch(down);
    }
  }

  function note(message: RoomMessage): void {
    const come = [...(message.publishers ?? [])].sort((a, b) => ((a.display ?? '') < (b.display ?? '') ? -1 : 1));
    for (const publisher of come) {
      if (options.hidden.has(publisher.id)) continue;
      publishers.set(publisher.id, publisher);
      if (!places.includes(placeOf(publisher))) places.push(placeOf(publisher));
    }
    for (const id of [message.unpublished, message.leaving, message.kicked]) if (id) publishers.delete(id);
    if (message.moderation && message.id) {
      const stream = publishers.get(message.id)?.streams?.find(({ mid }) => mid === message.mid);
      if (stream) stream.moderated = message.moderation === 'muted';
    }
    subscription?.want(
      [...publishers.values()].flatMap(({ id, streams = [] }) =>
        streams.filter((each) => !each.disabled && each.type !== 'data').map(({ mid }) => ({ feed: id, mid })),
      ),
    );
    options.onChange();
  }
}

/** Media ids end with the number of the visit; who they belong to comes before. */
const placeOf = ({ id, display = '' }: AnnouncedPublisher): string => `${id.replace(/\.[0-9a-f]{12}$/, '')} ${display}`;

function participant(
  { id, display = '', streams = [] }: AnnouncedPublisher,
  received: ReadonlyMap<string, MediaStreamTrack> | undefined,
): Participant {
  const isKnown = (source: string | undefined): source is Source =>
    source === 'camera' || source === 'microphone' || source === 'screen';
  return {
    mediaId: id,
    name: display,
    tracks: streams
      .filter((each) => !each.disabled && each.type !== 'data')
      .map(({ mid, type, description, moderated = false }) => ({
        ...{ mid, kind: type as RemoteTrack['kind'], muted: moderated },
        source: isKnown(description) ? description : null,
        track: received?.get(trackKey({ feed: id, mid })) ?? null,
      })),
  };
}

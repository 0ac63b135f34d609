/** A session on the media server as promises: what of janus-gateway we use, and how its connection ended, which it does not tell. */
import Janus, { type JanusJS } from 'janus-gateway';
import adapter from 'webrtc-adapter';

export type Jsep = JanusJS.JSEP;

/** What the VideoRoom plugin says, as far as we read it. */
export interface RoomMessage {
  videoroom?: string;
  error_code?: number;
  error?: string;
  id?: string;
  publishers?: AnnouncedPublisher[];
  streams?: SubscribedStream[];
  unpublished?: string;
  leaving?: string;
  kicked?: string;
  reason?: string;
  mid?: string;
  moderation?: 'muted' | 'unmuted';
  configured?: string;
}

export interface AnnouncedPublisher {
  id: string;
  display?: string;
  streams?: AnnouncedStream[];
}

export interface AnnouncedStream {
  type: string;
  mid: string;
  description?: string;
  disabled?: boolean;
  moderated?: boolean;
}

export interface SubscribedStream {
  /** Of the subscription's own connection. */
  mid: string;
  type: string;
  active: boolean;
  feed_id?: string;
  feed_mid?: string;
}

export interface HandleEvents {
  onMessage(message: RoomMessage, jsep: Jsep | undefined): void;
  /** Its media connection was given up, by either side. */
  onDown(reason: string): void;
}

export interface OutgoingTrack {
  track: MediaStreamTrack;
  kind: 'audio' | 'video';
}

export interface Handle {
  /** Resolves when it was taken; what came of it arrives as a message. */
  send(message: { request: string; [key: string]: unknown }, jsep?: Jsep): Promise<void>;
  /** An offer that adds these tracks, and takes those with these mids away. */
  offer(add: readonly OutgoingTrack[], remove: readonly string[]): Promise<Jsep>;
  answer(offer: Jsep): Promise<Jsep>;
  accept(answer: Jsep): Promise<void>;
  /** Null before the first offer. */
  connection(): RTCPeerConnection | null;
  detach(): void;
}

/** How a connection ended: the WebSocket's close code, 1006 when it just broke. */
export interface SessionEnd {
  code: number;
  reason: string;
}

export interface Session {
  attach(events: HandleEvents): Promise<Handle>;
  ended: Promise<SessionEnd>;
  close(): void;
}

// Half of what the media server waits before it gives up a session is 15 s.
const keepAliveMs = 10_000;
// Two unanswered signs of life and a little more: the other side hangs, or the network does.
const silenceLimitMs = 25_000;
const lookMs = 5_000;

let newestSocket: WebSocket | null = null;
Janus.init({
  debug: false,
  dependencies: {
    ...Janus.useDefaultDependencies({ adapter }),
    newWebSocket: (server: string, protocol: string) => {
      newestSocket = new WebSocket(server, protocol);
      return newestSocket;
    },
  },
});

/** Resolves when there is a session, or with how the connection ended before. */
export function openSession(server: string): Promise<Session | SessionEnd> {
  return new Promise((resolve) => {
    const janus = new Janus({
      server,
      // Its default is a server of Google's; ours needs none.
      iceServers: [],
      keepAlivePeriod: keepAliveMs,
      success: () => resolve({ attach: (events) => attach(janus, events), ended, close }),
      // Every error is followed by the end of the socket, which says more.
      error: () => socket.close(),
    });
    const socket = newestSocket as WebSocket;
    let heardAt = performance.now();
    socket.addEventListener('message', () => {
      heardAt = performance.now();
    });
    const look = setInterval(() => {
      if (performance.now() - heardAt > silenceLimitMs) finish({ code: 1006, reason: 'The server is silent.' });
    }, lookMs);
    let finish: (end: SessionEnd) => void = () => {};
    const ended = new Promise<SessionEnd>((end) => {
      finish = (how) => {
        end(how);
        clearInterval(look);
        janus.destroy({ cleanupHandles: true, notifyDestroyed: false, unload: true });
        // Without a session the library leaves the socket alone.
        socket.close();
      };
    });
    socket.addEventListener('close', ({ code, reason }) => finish({ code, reason }));
    const close = () => finish({ code: 1000, reason: '' });
    void ended.then(resolve);
  });
}

function attach(janus: InstanceType<typeof Janus>, events: HandleEvents): Promise<Handle> {
  return new Promise((resolve, reject) => {
    janus.attach({
      plugin: 'janus.plugin.videoroom',
      success: (handle) => resolve(promised(handle)),
      error: (error) => reject(new Error(error)),
      onmessage: (message, jsep) => events.onMessage(message as RoomMessage, jsep),
      webrtcState: (isUp) => {
        if (!isUp) events.onDown('The media server ended the media connection.');
      },
      iceState: (state) => {
        if (state === 'failed') events.onDown('Media does not get through.');
      },
      ondetached: () => events.onDown('The media server let go.'),
    });
  });
}

function promised(handle: JanusJS.PluginHandle): Handle {
  const call = <Result>(start: (success: (result: Result) => void, error: (error: unknown) => void) => void) =>
    new Promise<Result>((resolve, reject) => {
      start(resolve, (error) => reject(error instanceof Error ? error : new Error(String(error))));
    });
  return {
    send: (message, jsep) => call<void>((success, error) => handle.send({ message, jsep, success, error })),
    offer: (add, remove) =>
      call<Jsep>((success, error) =>
        handle.createOffer({
          tracks: [
            // Without dontStop the library ends our tracks when the connection is lost: all would be up again, and black.
            ...add.map(({ track, kind }) => ({ type: kind, add: true, capture: track, recv: false, dontStop: true })),
            ...remove.map((mid) => ({ type: 'video' as const, mid, remove: true, capture: false })),
          ],
          ...{ success, error },
        }),
      ),
    answer: (jsep) => call<Jsep>((success, error) => handle.createAnswer({ jsep, success, error })),
    accept: (jsep) =>
      call<void>((success, error) => handle.handleRemoteJsep({ jsep, success: () => success(), error })),
    connection: () => handle.webrtcStuff.pc ?? null,
    detach: () => handle.detach(),
  };
}

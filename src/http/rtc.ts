/**
 * The signalling gate: browsers reach the media server through it alone. A room token lets them in; what it says decides which
 * room they come into, as whom, and what they may do there.
 */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Logger } from 'pino';
import { WebSocket, WebSocketServer } from 'ws';
import { atTime } from '../at-time.js';
import type { RoomAdmissions } from '../auth/room-admissions.js';
import type { IssuedClaims, RoomTokens } from '../auth/room-tokens.js';
import type { MediaServerAddress } from '../config.js';
import { type EventBus, roomTopic } from '../events/bus.js';
import { newMediaId } from '../media/identity.js';
import type { MediaLink } from '../media/media-link.js';
import { endIn, tellable } from './rtc-news.js';
import { createRequestGate, type Guest } from './rtc-requests.js';
import type { Upgrades } from './upgrades.js';

const path = '/rtc';
const subprotocol = 'janus-protocol';

/** Why a connection ends. Below 4000 it is worth to come back with the same token; from there on it is not. */
const ends = {
  goingAway: [1001, 'Going away'],
  flood: [1008, 'Too many messages'],
  mediaServerRestarted: [1012, 'The media server is gone; come back'],
  tryAgainLater: [1013, 'Try again later'],
  tooManyConnections: [1013, 'Too many connections'],
  unauthorized: [4401, 'This is no room token of ours'],
  expired: [4403, 'The token has expired'],
  removed: [4403, 'Removed by a moderator'],
  roomDeleted: [4404, 'There is no such room'],
} as const satisfies Record<string, readonly [number, string]>;
type End = keyof typeof ends;

/** An offer with a hundred tracks has some 200 KB. */
const mostMessageBytes = 262_144;
/** What a browser may say before the media server is reached: it waits for an answer to its first request anyway. */
const mostWaiting = { messages: 64, characters: 524_288 };
/** A page that joins a full room sends some 300 messages within a second, of them 5 candidates for each connection. */
const mostMessages = { burst: 1_000, perSecond: 100 };
/** A receiver that takes nothing is given up before it costs more memory than this. */
const mostBufferedBytes = 4_194_304;
/** In this process. A page that comes back may for some seconds be there twice, and a token be open in several pages. */
const mostConnections = { perIdentity: 20, perRoom: 1_000 };
/** Twice this is the longest that somebody stays in a room whose machine or network has vanished, or waits for a media server that hangs. */
const heartbeatMs = 10_000;
const handshakeLimitMs = 5_000;
const closingPatienceMs = 1_000;

export interface SignallingGate {
  close(): Promise<void>;
}

/** What the gate lets browsers through to, and by what right. */
export interface SignallingParts {
  /** Null where no media server is configured. */
  address: MediaServerAddress | null;
  media: MediaLink;
  tokens: Pick<RoomTokens, 'verify'>;
  admissions: RoomAdmissions;
}

export function serveSignalling(
  deps: SignallingParts & { upgrades: Upgrades; bus: EventBus; log: Logger },
): SignallingGate {
  const { upgrades, address, media, tokens, admissions, bus, log } = deps;
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: mostMessageBytes,
    handleProtocols: (offered) => (offered.has(subprotocol) ? subprotocol : false),
  });
  upgrades.serve(path, sockets);
  const counts = new Map<string, number>();
  /** Those to the media server. */
  const upstreams = new Set<WebSocket>();
  /** Sockets that were heard of since the last beat. */
  const alive = new WeakSet<WebSocket>();

  /** Answers how to forget it; null when there are as many as there may be. */
  function count({ roomId, identity }: IssuedClaims): (() => void) | null {
    const limits = [
      [roomId, mostConnections.perRoom],
      [`${roomId}/${identity}`, mostConnections.perIdentity],
    ] as const;
    if (limits.some(([name, most]) => (counts.get(name) ?? 0) >= most)) return null;
    const add = (by: 1 | -1) => {
      for (const [name] of limits) {
        const now = (counts.get(name) ?? 0) + by;
        if (now > 0) counts.set(name, now);
        else counts.delete(name);
      }
    };
    add(1);
    return () => add(-1);
  }

  function serve(socket: WebSocket, request: IncomingMessage): void {
    const parameters = new URL(request.url ?? '/', 'http://gate').searchParams;
    const waiting: string[] = [];
    const spend = createAllowance(mostMessages);
    let waitingCharacters = 0;
    let pass: ((text: string) => void) | undefined;
    const releases: (() => void)[] = [];

    function end(why: End): void {
      const [code, reason] = ends[why];
      socket.close(code, reason);
      for (const release of releases.splice(0)) release();
    }
    const isOpen = () => socket.readyState === WebSocket.OPEN;
    /** To be done when the connection is over, which it may be by now. */
    const whenOver = (release: () => void) => (isOpen() ? void releases.push(release) : release());

    // Whatever is wrong shows as the close code.
    socket.on('error', () => {});
    socket.once('close', () => {
      for (const release of releases.splice(0)) release();
    });
    socket.on('message', (data) => {
      // Until the client answers the closing of a socket, what it still sends is heard.
      if (!isOpen()) return;
      const text = String(data);
      if (!spend()) return end('flood');
      if (pass) return pass(text);
      waitingCharacters += text.length;
      waiting.push(text);
      if (waiting.length > mostWaiting.messages || waitingCharacters > mostWaiting.characters) end('flood');
    });

    /** Finds out who it is, and answers once they may be let through. */
    async function admit(): Promise<IssuedClaims | End> {
      const claims = await tokens.verify(parameters.get('token') ?? '');
      if (claims === null) return 'unauthorized';
      if (claims === 'expired') return 'expired';
      const { roomId, identity, issuedAt } = claims;
      const release = count(claims);
      if (!release) return 'tooManyConnections';
      whenOver(release);
      // Followed before it is asked how things are, so that nothing happens unnoticed in between.
      const unsubscribe = bus.subscribe(roomTopic(roomId), (events) => {
        for (const { payload, occurredAt } of events) {
          if (payload.type === 'RoomDeleted') end('roomDeleted');
          if (payload.type === 'ParticipantRemoved' && payload.identity === identity && occurredAt >= issuedAt)
            end('removed');
        }
      });
      whenOver(unsubscribe);
      const admission = await admissions.find(claims);
      if (admission === 'deleted') return 'roomDeleted';
      if (admission === 'removed') return 'removed';
      whenOver(atTime(claims.expiresAt.getTime(), () => end('expired')));
      await (await media.get()).openRoom(roomId);
      return claims;
    }

    function connect({ url, apiSecret }: MediaServerAddress, claims: IssuedClaims): void {
      const guest = guestOf(claims, parameters.get('watch') === 'true');
      const gate = createRequestGate(guest);
      const upstream = new WebSocket(url, subprotocol, { handshakeTimeout: handshakeLimitMs });
      whenOver(() => {
        upstreams.delete(upstream);
        upstream.terminate();
      });
      let wasOpen = false;
      const answer = (message: object) => {
        socket.send(JSON.stringify(message));
        if (socket.bufferedAmount > mostBufferedBytes) socket.terminate();
      };

      upstream.on('error', () => {});
      upstream.once('close', () => isOpen() && end(wasOpen ? 'mediaServerRestarted' : 'tryAgainLater'));
      upstream.once('open', () => {
        wasOpen = true;
        watchOver(upstream);
        if (isOpen()) upstreams.add(upstream);
        pass = (text) => {
          const verdict = gate.judge(text);
          if ('refuse' in verdict) return answer(verdict.refuse);
          upstream.send(JSON.stringify({ ...verdict.forward, apisecret: apiSecret }));
          if (upstream.bufferedAmount > mostBufferedBytes) end('tryAgainLater');
        };
        for (const text of waiting.splice(0)) if (isOpen()) pass(text);
      });
      upstream.on('message', (data) => {
        if (!isOpen()) return;
        const message = JSON.parse(String(data)) as Record<string, unknown>;
        gate.heard(message);
        const told = tellable(message, guest.hidden);
        if (told) answer(told);
        const ending = endIn(message);
        if (ending === 'removed') end('removed');
        else if (ending === 'session-over') end('mediaServerRestarted');
        else if (ending === 'room-gone') void endWithRoom(claims);
      });
    }

    /** The room is gone from the media server: because it was deleted, or for a reason of its own. */
    async function endWithRoom(claims: IssuedClaims): Promise<void> {
      const admission = await admissions.find(claims).catch(() => 'admitted' as const);
      end(admission === 'deleted' ? 'roomDeleted' : 'mediaServerRestarted');
    }

    admit().then(
      (admitted) => {
        if (!isOpen()) return;
        if (typeof admitted === 'string') return end(admitted);
        // Without an address nobody is admitted.
        connect(address as MediaServerAddress, admitted);
      },
      (error: unknown) => {
        log.warn({ err: error }, 'a browser could not be let into its room');
        end('tryAgainLater');
      },
    );
  }

  /** From now on it is ended when it answers no more. */
  function watchOver(socket: WebSocket): void {
    alive.add(socket);
    socket.on('pong', () => alive.add(socket));
  }

  sockets.on('connection', (socket: WebSocket, request: IncomingMessage) => {
    watchOver(socket);
    serve(socket, request);
  });
  const heartbeat = setInterval(() => {
    for (const socket of [...sockets.clients, ...upstreams]) {
      if (!alive.delete(socket)) socket.terminate();
      else socket.ping();
    }
  }, heartbeatMs);

  return {
    async close() {
      clearInterval(heartbeat);
      const open = [...sockets.clients];
      const closed = Promise.all(open.map((socket) => once(socket, 'close')));
      for (const socket of open) socket.close(...ends.goingAway);
      const impatience = setTimeout(() => {
        for (const socket of open) socket.terminate();
      }, closingPatienceMs);
      await closed;
      clearTimeout(impatience);
    },
  };
}

/** Who may publish is seen by others, unless it comes to watch only. */
function guestOf({ roomId, identity, name, scopes, hidden, recorder }: IssuedClaims, watches: boolean): Guest {
  const kind = recorder ? 'recorder' : scopes.includes('publish') && !watches ? 'browser' : 'watcher';
  return { roomId, mediaId: newMediaId(kind, identity), kind, name, scopes, hidden: new Set(hidden) };
}

/** Answers whether one more is allowed: `burst` at once, and `perSecond` on average. */
function createAllowance({ burst, perSecond }: { burst: number; perSecond: number }): () => boolean {
  let left = burst;
  let at = performance.now();
  return () => {
    const now = performance.now();
    left = Math.min(burst, left + ((now - at) / 1000) * perSecond);
    at = now;
    if (left < 1) return false;
    left--;
    return true;
  };
}

/** What a browser may say to the media server: which requests, of what form, and about whom. Everything else stops here. */
import * as z from 'zod';
import type { RoomScope } from '../auth/room-tokens.js';
import { isVisible, type MediaKind } from '../media/identity.js';

/** Whoever is at the other end of a signalling connection, as the token says. */
export interface Guest {
  roomId: string;
  /** Who it is in the room while this connection lasts. */
  mediaId: string;
  kind: Extract<MediaKind, 'browser' | 'watcher' | 'recorder'>;
  name: string;
  scopes: readonly RoomScope[];
  /** Media ids that it is not shown. */
  hidden: ReadonlySet<string>;
}

/** One for what is published and one for each of a full room's publishers fit. */
const mostHandles = 128;
/** Streams named in one request: audio, video and a screen of each of a full room's publishers. */
const mostStreams = 300;
const plugin = 'janus.plugin.videoroom';

const id = z.int().positive();
const mid = z.string().max(32);
const feed = z.string().max(100);
const streamWish = {
  mid: mid.optional(),
  send: z.boolean().optional(),
  substream: z.int().optional(),
  temporal: z.int().optional(),
};
const list = <Shape extends z.ZodRawShape>(shape: Shape) => z.array(z.object(shape)).max(mostStreams);
const codec = z.string().regex(/^[a-z0-9,]{1,32}$/);
const descriptions = list({ mid, description: z.string().regex(/^[a-z-]{1,32}$/) });

/** What is kept of each request: what is not named here does not pass, such as `record`, `filename` or a room's secret. */
const bodies = new Map<unknown, z.ZodObject>([
  [
    'join',
    z.object({
      ptype: z.enum(['publisher', 'subscriber']),
      streams: list({ ...streamWish, feed }).optional(),
      use_msid: z.boolean().optional(),
    }),
  ],
  [
    'publish',
    z.object({ audiocodec: codec.optional(), videocodec: codec.optional(), descriptions: descriptions.optional() }),
  ],
  [
    'configure',
    z.object({
      streams: list({ ...streamWish, keyframe: z.boolean().optional() }).optional(),
      keyframe: z.boolean().optional(),
      update: z.boolean().optional(),
      restart: z.boolean().optional(),
      descriptions: descriptions.optional(),
    }),
  ],
  ['unpublish', z.object({})],
  ['start', z.object({})],
  ['pause', z.object({})],
  ['leave', z.object({})],
  [
    'update',
    z.object({
      subscribe: list({ ...streamWish, feed }).optional(),
      unsubscribe: list({ feed: feed.optional(), mid: mid.optional(), sub_mid: mid.optional() }).optional(),
    }),
  ],
]);

const jsepShape = z.object({
  type: z.enum(['offer', 'answer']),
  sdp: z.string(),
  trickle: z.boolean().optional(),
});
const candidateShape = z.union([
  z.object({ completed: z.literal(true) }),
  z.object({
    candidate: z.string().max(1_024),
    sdpMid: z.string().max(32).nullish(),
    sdpMLineIndex: z.int().nullish(),
  }),
]);

const envelope = z.object({
  janus: z.string(),
  transaction: z.string().min(1).max(64),
  session_id: id.optional(),
  handle_id: id.optional(),
  plugin: z.string().optional(),
  body: z.looseObject({ request: z.string() }).optional(),
  jsep: jsepShape.optional(),
  candidate: candidateShape.optional(),
  candidates: z.array(candidateShape).max(64).optional(),
});
type Envelope = z.infer<typeof envelope>;
const addressing = envelope.pick({ transaction: true, session_id: true });

/** `forward`: to the media server, without its secret yet. `refuse`: to the browser. */
export type Verdict = { forward: Record<string, unknown> } | { refuse: Record<string, unknown> };

export interface RequestGate {
  /** Judges one message, and makes of it what may be passed on. */
  judge(text: string): Verdict;
  /** Takes note of what the media server said: ids of sessions and handles are good only when they were given here. */
  heard(message: Record<string, unknown>): void;
}

class Refusal extends Error {}

type HandleRole = 'new' | 'publisher' | 'subscriber';

export function createRequestGate(guest: Guest): RequestGate {
  let sessionId: number | undefined;
  /** Transactions that will bring an id. */
  const pending = new Map<string, 'create' | 'attach'>();
  const handles = new Map<number, HandleRole>();

  /** Who names a session or a handle of somebody else must not reach it: ids are all that the media server asks for. */
  function checkIds({ janus, session_id, handle_id }: Envelope): void {
    if (janus === 'create' ? session_id !== undefined : session_id === undefined || session_id !== sessionId)
      throw new Refusal('This is not your session.');
    if (handle_id !== undefined && !handles.has(handle_id)) throw new Refusal('This is not your handle.');
  }

  function expectId(what: 'create' | 'attach', transaction: string): void {
    if (pending.has(transaction)) throw new Refusal('This transaction is under way.');
    pending.set(transaction, what);
  }

  const forward = (message: Envelope): Record<string, unknown> => {
    const { janus, transaction, session_id, handle_id } = message;
    const own = { janus, transaction, session_id };
    switch (janus) {
      case 'create':
        if (sessionId !== undefined || pending.size > 0) throw new Refusal('You have a session.');
        expectId('create', transaction);
        return { janus, transaction };
      case 'attach':
        if (message.plugin !== plugin) throw new Refusal(`Only ${plugin} is served here.`);
        if (handles.size + pending.size >= mostHandles) throw new Refusal(`At most ${mostHandles} handles are served.`);
        expectId('attach', transaction);
        return { ...own, plugin, opaque_id: guest.mediaId };
      case 'keepalive':
        return own;
      case 'destroy':
        sessionId = undefined;
        handles.clear();
        return own;
    }
    if (handle_id === undefined) throw new Refusal('A handle is missing.');
    switch (janus) {
      case 'message':
        return { ...own, handle_id, ...said(message, handle_id) };
      case 'trickle': {
        const { candidate, candidates } = message;
        if (!candidate && !candidates) throw new Refusal('A candidate is missing.');
        return { ...own, handle_id, ...(candidates ? { candidates } : { candidate }) };
      }
      case 'hangup':
        return { ...own, handle_id };
      case 'detach':
        handles.delete(handle_id);
        return { ...own, handle_id };
      default:
        throw new Refusal('This is not served here.');
    }
  };

  /** A request to the room, with the answer or offer that comes with it. */
  function said({ body, jsep }: Envelope, handleId: number): Record<string, unknown> {
    const shape = bodies.get(body?.request);
    if (!body || !shape) throw new Refusal('This request is not served here.');
    const parsed = shape.safeParse(body);
    if (!parsed.success) throw new Refusal(`The request is malformed: ${z.prettifyError(parsed.error)}`);
    const { request } = body;
    const kept = { request, ...parsed.data };
    const role = handles.get(handleId) as HandleRole;
    if (request === 'publish' || request === 'unpublish' || jsep?.type === 'offer') requirePublisher(role);
    if (request === 'update') requireSubscriber(role, parsed.data.subscribe);
    const told = request === 'join' ? joining(parsed.data as unknown as Joining, handleId, role) : kept;
    if (request === 'leave') handles.set(handleId, 'new');
    return { body: told, ...(jsep ? { jsep } : {}) };
  }

  function joining({ ptype, streams, use_msid }: Joining, handleId: number, role: HandleRole): Record<string, unknown> {
    const base = { request: 'join', ptype, room: guest.roomId };
    if (role !== 'new' && role !== ptype) throw new Refusal(`This handle has joined as ${role}.`);
    if (ptype === 'subscriber') {
      requireSubscriber(ptype, streams);
      handles.set(handleId, ptype);
      return { ...base, streams: streams ?? [], use_msid };
    }
    if (!guest.scopes.includes('publish') && !guest.scopes.includes('subscribe'))
      throw new Refusal('The token allows neither to publish nor to subscribe.');
    if ([...handles].some(([other, otherRole]) => other !== handleId && otherRole === 'publisher'))
      throw new Refusal('You have joined on another handle.');
    handles.set(handleId, ptype);
    return { ...base, id: guest.mediaId, display: guest.name };
  }

  function requirePublisher(role: HandleRole): void {
    if (!guest.scopes.includes('publish')) throw new Refusal('The token does not allow to publish.');
    if (guest.kind !== 'browser') throw new Refusal('Whoever only watches cannot publish.');
    if (role !== 'publisher') throw new Refusal('Join as a publisher on this handle first.');
  }

  function requireSubscriber(role: HandleRole, streams: unknown): void {
    if (!guest.scopes.includes('subscribe')) throw new Refusal('The token does not allow to subscribe.');
    if (role !== 'subscriber') throw new Refusal('Join as a subscriber on this handle first.');
    for (const { feed: mediaId } of (streams ?? []) as { feed: string }[]) {
      // The same words as for one that is not there.
      if (!isVisible(mediaId) || guest.hidden.has(mediaId)) throw new Refusal('There is no such participant.');
    }
  }

  return {
    judge(text) {
      const given = parsed(text);
      const message = envelope.safeParse(given);
      if (!message.success) return refusal('The message is malformed.', addressing.safeParse(given).data);
      const { transaction, session_id } = message.data;
      try {
        checkIds(message.data);
        return { forward: forward(message.data) };
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        return refusal(error.message, { transaction, session_id });
      }
    },

    heard({ janus, transaction, data, sender }) {
      if (janus === 'detached' && typeof sender === 'number') handles.delete(sender);
      const what = typeof transaction === 'string' ? pending.get(transaction) : undefined;
      if (!what || (janus !== 'success' && janus !== 'error')) return;
      const given = (data as { id?: unknown } | undefined)?.id;
      // Something else with the same transaction was carried out.
      if (janus === 'success' && typeof given !== 'number') return;
      pending.delete(transaction as string);
      if (typeof given !== 'number') return;
      if (what === 'create') sessionId = given;
      else handles.set(given, 'new');
    },
  };
}

interface Joining {
  ptype: 'publisher' | 'subscriber';
  streams?: { feed: string }[];
  use_msid?: boolean;
}

/** Undefined for what is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** As the media server words its own. */
const refusal = (reason: string, names: Pick<Partial<Envelope>, 'transaction' | 'session_id'> = {}): Verdict => ({
  refuse: { janus: 'error', ...names, error: { code: 403, reason } },
});

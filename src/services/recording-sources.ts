/** From what a client gives of an input, and what it was before, to where media comes from. */
import { randomBytes } from 'node:crypto';
import type { Viewer } from '../auth/viewer.js';
import type { Database } from '../db.js';
import { parseStreamUrl, type SrtAddress, writeStreamUrl } from '../net/stream-url.js';
import { type InputType, isListening, portsEach, type RecordingInput, type RtpTrack } from '../recordings/config.js';
import { usualConnectTimeoutMs, usualLatencyMs, usualReconnectTimeoutMs } from '../recordings/defaults.js';
import { parseSessionDescription } from '../recordings/session-description.js';
import { NotFoundError, ValidationError } from './errors.js';
import type { InputWish } from './recording-input.js';
import type { Sources } from './sources.js';
import type { StreamUrlCheck } from './stream-urls.js';

/** What each type of input takes, besides how long it is waited for. */
const fields: Record<InputType, readonly (keyof InputWish)[]> = {
  SRT_URL: ['url', 'latency', 'passphrase', 'keyLength', 'streamId', 'linkStats'],
  SRT_SERVER: ['latency', 'passphrase', 'keyLength', 'linkStats'],
  RTMP_URL: ['url'],
  RTMP_SERVER: ['streamKey'],
  RTSP_URL: ['url'],
  RTSP_SERVER: ['streamKey'],
  HLS: ['url'],
  DASH: ['url'],
  HTTP_FLV: ['url'],
  UDP: ['url'],
  RTP: ['url', 'sdp'],
  RIST: ['latency'],
  ROOM: ['roomId', 'roomName', 'layout'],
  PARTICIPANT: ['roomId', 'roomName', 'identity', 'participantId'],
};
const takes = (type: InputType, field: keyof InputWish): boolean => fields[type].includes(field);
const ofEvery: readonly string[] = ['type', 'connectTimeout', 'reconnectTimeout'];
/** One track of sound and one of picture, of two ports each. */
const mostTracks = portsEach / 2;
const usualKeyLength = 16;

const invalid = (field: string, message: string) => new ValidationError([{ field: `input.${field}`, message }]);

export function createRecordingSources(deps: { db: Database; sources: Sources; checkUrl: StreamUrlCheck }) {
  const { db, sources, checkUrl } = deps;

  /** The identity of somebody who is, or was, in a room, and which room that is. Throws NotFoundError. */
  async function participant(id: string, { projectId }: Viewer): Promise<{ roomId: string; identity: string }> {
    const found = await db.participant.findFirst({ where: { id, projectId, room: { deletedAt: null } } });
    if (!found) throw new NotFoundError('There is no such participant. Use an id that `Room.participants` gives.');
    return { roomId: found.roomId, identity: found.identity };
  }

  async function place(
    type: InputType,
    wish: InputWish,
    was: RecordingInput | undefined,
    viewer: Viewer,
  ): Promise<{ roomId: string | null; identity: string | null }> {
    if (type !== 'ROOM' && type !== 'PARTICIPANT') return { roomId: null, identity: null };
    const named = wish.participantId == null ? null : await participant(wish.participantId, viewer);
    const found = await sources.findRoom({ roomId: wish.roomId, roomName: wish.roomName }, viewer);
    if (named && found !== null && found !== named.roomId)
      throw invalid('participantId', 'is somebody in another room: leave the room out');
    if (named && wish.identity != null && wish.identity !== named.identity)
      throw invalid('identity', 'is not that of the participant: leave it out');
    const roomId = named?.roomId ?? found ?? was?.roomId ?? null;
    if (roomId === null) throw invalid('roomId', 'is missing: give roomId or roomName');
    if (type === 'ROOM') return { roomId, identity: null };
    const identity = named?.identity ?? wish.identity ?? was?.identity ?? null;
    if (identity === null) throw invalid('identity', 'is missing: give identity or participantId');
    return { roomId, identity };
  }

  return {
    /**
     * Where media comes from, without the port that it is sent to. Throws ValidationError, UrlRefusedError, NotFoundError.
     */
    async input(given: InputWish, viewer: Viewer, before?: RecordingInput): Promise<RecordingInput> {
      const type = given.type ?? before?.type;
      if (!type) throw invalid('type', 'is missing');
      const strange = (Object.keys(given) as (keyof InputWish)[]).filter(
        (name) => given[name] != null && !ofEvery.includes(name) && !takes(type, name),
      );
      if (strange.length > 0)
        throw new ValidationError(
          strange.map((name) => ({ field: `input.${name}`, message: `is not for an input of type ${type}` })),
        );
      // What was of another type says nothing about this one.
      const was = before?.type === type ? before : undefined;
      const { url, ...said } = await address(type, given, was);
      const wish = { ...given, ...said };
      const kept = <Value>(
        name: keyof InputWish,
        wished: Value | null | undefined,
        old: Value | undefined,
        usual: Value,
      ): Value => (takes(type, name) ? (wished === undefined ? (old ?? usual) : (wished ?? usual)) : usual);
      const passphrase = kept<string | null>('passphrase', wish.passphrase, was?.passphrase, null);
      if (wish.keyLength != null && passphrase === null)
        throw invalid('keyLength', 'is for an input with a passphrase: give that, or leave it out');
      return {
        type,
        url,
        listenPort: null,
        multicastGroup: isListening(type) && url !== null ? new URL(url).hostname : null,
        latencyMs: kept('latency', wish.latency, was?.latencyMs, usualLatencyMs),
        passphrase,
        keyLength: kept<16 | 24 | 32>('keyLength', wish.keyLength, was?.keyLength, usualKeyLength),
        streamId: kept<string | null>('streamId', wish.streamId, was?.streamId, null),
        linkStats: takes(type, 'linkStats') ? kept('linkStats', wish.linkStats, was?.linkStats, true) : false,
        streamKey: takes(type, 'streamKey') ? (wish.streamKey ?? was?.streamKey ?? newStreamKey()) : null,
        tracks: takes(type, 'sdp') ? tracks(wish.sdp, was) : null,
        ...(await place(type, wish, was, viewer)),
        layout: type === 'ROOM' ? (wish.layout ?? was?.layout ?? 'grid') : null,
        connectTimeoutMs: ms(wish.connectTimeout, was?.connectTimeoutMs, usualConnectTimeoutMs(type)),
        reconnectTimeoutMs: ms(wish.reconnectTimeout, was?.reconnectTimeoutMs, usualReconnectTimeoutMs),
      };
    },
  };

  /** The address, and what it says besides, which goes before what was given with it. */
  async function address(
    type: InputType,
    wish: InputWish,
    was: RecordingInput | undefined,
  ): Promise<{ url: string | null } & Pick<InputWish, 'latency' | 'passphrase' | 'keyLength' | 'streamId'>> {
    if (!takes(type, 'url')) return { url: null };
    if (wish.url === undefined && was) return { url: was.url };
    if (wish.url == null) {
      // What is sent to us needs no address, but may have that of a group.
      if (isListening(type)) return { url: null };
      throw invalid('url', `is missing: an input of type ${type} is called at its address`);
    }
    const url = await checkUrl(type, wish.url, 'input.url');
    if (type !== 'SRT_URL') return { url };
    const srt = parseStreamUrl(type, url) as SrtAddress;
    const { latencyMs: latency, ...settings } = srt.settings;
    return {
      ...settings,
      ...(latency === undefined ? {} : { latency }),
      url: writeStreamUrl({ ...srt, settings: {} }),
    };
  }
}
export type RecordingSources = ReturnType<typeof createRecordingSources>;

/** Null: as an MPEG transport stream. */
function tracks(sdp: string | null | undefined, was: RecordingInput | undefined): RtpTrack[] | null {
  if (sdp === undefined) return was?.tracks ?? null;
  if (sdp === null) return null;
  let described: RtpTrack[];
  try {
    described = parseSessionDescription(sdp);
  } catch (error) {
    throw invalid('sdp', (error as Error).message);
  }
  const kinds = described.map(({ kind }) => kind);
  if (described.length < 1 || described.length > mostTracks || new Set(kinds).size !== kinds.length)
    throw invalid('sdp', `describes ${described.length} tracks: one of sound, one of picture, or both are taken`);
  return described;
}

function ms(seconds: number | null | undefined, before: number | undefined, usual: number): number {
  return seconds === undefined && before !== undefined ? before : seconds == null ? usual : seconds * 1000;
}

/** What encoders send with: whoever has it can send. */
const newStreamKey = (): string => randomBytes(16).toString('hex');

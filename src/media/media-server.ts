/**
 * What Tapedeck asks of a media server, whichever it is. Rooms are named by their ids; participants by their media ids
 * (see identity.ts), which we choose. Nothing of it is kept by the media server over a restart of its own: whoever uses a
 * connection builds everything anew on the next one.
 */

export type TrackKind = 'AUDIO' | 'VIDEO';

/** One track that is being published. */
export interface MediaTrack {
  /** Names the track within its publication. */
  mid: string;
  kind: TrackKind;
  /** Lower case, as in SDP: `opus`, `vp8`, `h264`. */
  codec: string;
  /** What it is of, as its publisher says: `camera`, `microphone`, `screen`; null when it does not say. */
  source: string | null;
}

/** Somebody who is in a room. */
export interface MediaParticipant {
  mediaId: string;
  name: string;
  /** Empty while nothing is published. */
  tracks: MediaTrack[];
}

/** Where the packets of one track are to be sent to. RTP is sent as it comes, RTCP is not. */
export interface ForwardWish {
  mid: string;
  /** UDP port that is sent to. */
  port: number;
  payloadType: number;
  /** Of the packets that are sent, 1 to 2^31 - 1: whoever chose it tells them from others that still come to the port. */
  ssrc: number;
}

export interface Forwarded {
  mid: string;
  /** Needed to stop it. */
  streamId: string;
  /**
   * UDP port of the media server that takes RTCP requests for key frames of a video track, on its own host; null where there is
   * none. Of a track in several sizes nothing comes before the next key frame: ask for one, with any SSRC, without waiting for
   * a packet.
   */
  rtcpPort: number | null;
}

/** A track that is published by sending plain RTP to the media server. Others may see it with another `mid`: its position. */
export interface RtpTrack extends MediaTrack {
  /** H.264: its `profile-level-id`, such as `42e01f`; left out for other codecs. */
  h264Profile?: string;
}

export interface RtpPublication {
  /** Where all packets are to be sent to. */
  host: string;
  port: number;
  /** With which SSRC those of each track are told apart. */
  tracks: { mid: string; ssrc: number }[];
}

/** What is heard of a room. `published` tells all tracks of a participant, each time they change. */
export type RoomNews = { type: 'published'; participant: MediaParticipant } | { type: 'unpublished'; mediaId: string };

/** A connection to a media server. Every call throws MediaServerLostError once it is lost, MediaServerError when refused. */
export interface MediaServer {
  /** Makes the room if it is not there. Any number may do so at once. */
  openRoom(roomId: string): Promise<void>;
  /** Removes the room with everybody in it; nothing happens when it is not there. */
  closeRoom(roomId: string): Promise<void>;
  /** Ids of the rooms that somebody is in, or was in a moment ago; if others use the same media server, theirs too. */
  occupiedRooms(): Promise<string[]>;
  /** Everybody in the room who has published, or could; empty when the room is not there. */
  participants(roomId: string): Promise<MediaParticipant[]>;
  /** Who is removed may join again: keeping them out is the business of who gives out tokens. Answers whether they were there. */
  remove(roomId: string, mediaId: string): Promise<boolean>;
  /** Stops a track for everybody, or lets it go on. Answers whether it was there. */
  mute(roomId: string, mediaId: string, mid: string, muted: boolean): Promise<boolean>;
  /**
   * Follows what is published in a room, unseen by others: first what is published now, then every change. Answers how to stop.
   * Makes the room if it is not there. `identity`: who joins; one of our own when left out.
   */
  follow(roomId: string, onNews: (news: RoomNews) => void, identity?: string): Promise<() => Promise<void>>;
  /** Sends tracks of one participant on as RTP, until it unpublishes them. `host`: an address that the media server reaches. */
  forward(roomId: string, mediaId: string, host: string, tracks: ForwardWish[]): Promise<Forwarded[]>;
  /** Nothing happens when it has ended already. */
  stopForward(roomId: string, mediaId: string, streamId: string): Promise<void>;
  /** Publishes tracks whose packets are sent as RTP. Others see a participant like any other. Makes the room if it is not there. */
  publish(roomId: string, participant: { mediaId: string; name: string; tracks: RtpTrack[] }): Promise<RtpPublication>;
  /** Nothing happens when it is not there. */
  unpublish(roomId: string, mediaId: string): Promise<void>;
  /** Resolves when the connection is lost, or closed. */
  ended: Promise<Error>;
  close(): Promise<void>;
}

/** The connection to the media server is gone, and all that was built on it. */
export class MediaServerLostError extends Error {
  override name = 'MediaServerLostError';
}

/** The media server refused; `code` is its own number for the reason. */
export class MediaServerError extends Error {
  override name = 'MediaServerError';
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

/** Counters of one connection of a participant; they begin at zero with each connection. */
export interface MediaTrackStats {
  mid: string;
  kind: TrackKind;
  bytesReceived: number;
  packetsReceived: number;
  /** Packets of it that never came. */
  packetsLost: number;
  bytesSent: number;
}

/** What a media server reports by itself, at most once. `at`: epoch milliseconds. */
export type MediaServerEvent =
  /**
   * From now on it reports, beginning with what it could not tell before if it still knows that. Much may not have been heard: ask
   * for the participants of all rooms.
   */
  | { type: 'connected' }
  | { type: 'disconnected' }
  /** Who publishes RTP is not told of here, only by what it publishes. */
  | { type: 'joined'; at: number; roomId: string; mediaId: string; name: string }
  /** Everything that the participant publishes now. */
  | { type: 'published'; at: number; roomId: string; mediaId: string; name: string; tracks: MediaTrack[] }
  | { type: 'unpublished'; at: number; roomId: string; mediaId: string }
  | { type: 'left'; at: number; roomId: string; mediaId: string }
  | { type: 'muted'; at: number; roomId: string; mediaId: string; mid: string; muted: boolean }
  /** Media of a track came no more for some seconds, or comes again. */
  | { type: 'receiving'; at: number; mediaId: string; mid: string; receiving: boolean }
  /** Many packets of a participant's media are lost on the way to the media server, or from it. */
  | { type: 'slow-link'; at: number; mediaId: string; uplink: boolean }
  /**
   * Once a second; `connection` tells a participant's connections apart. `issues`: what its source should do otherwise, in words,
   * where that is known.
   */
  | { type: 'stats'; at: number; mediaId: string; connection: string; tracks: MediaTrackStats[]; issues?: string[] };

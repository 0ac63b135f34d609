/** What can happen in a room besides its jobs, as it is written to the outbox: complete and immutable. */
import type { TrackKind } from '../media/media-server.js';

/** A track of a participant as it is told and stored. */
export interface ParticipantTrack {
  mid: string;
  kind: TrackKind;
  /** Lower case, as in SDP. */
  codec: string;
  /** `camera`, `microphone`, `screen`, as its publisher says; null when it does not. */
  source: string | null;
  /** A moderator stopped it. */
  muted: boolean;
}

export type RoomEventPayload =
  | { type: 'RoomUpdated' }
  | { type: 'RoomDeleted' }
  | { type: 'SessionStarted'; sessionId: string }
  | { type: 'SessionEnded'; sessionId: string }
  | { type: 'ParticipantJoined'; participantId: string; identity: string; name: string }
  /** Everything it publishes now: empty when it stopped. */
  | { type: 'ParticipantTracksChanged'; participantId: string; tracks: ParticipantTrack[] }
  | { type: 'ParticipantHealthChanged'; participantId: string; isHealthy: boolean | null; issues: string[] }
  | { type: 'ParticipantLeft'; participantId: string }
  /** Whoever has a token of that identity from before is not let in any more. */
  | { type: 'ParticipantRemoved'; participantId: string; identity: string };

export type RoomEventType = RoomEventPayload['type'];

/** What each of them tells, in words. */
export const roomEventTypes = {
  RoomUpdated: 'A room was made, or changed.',
  RoomDeleted: 'A room was deleted.',
  SessionStarted: 'A room went live.',
  SessionEnded: 'A room is live no longer.',
  ParticipantJoined: 'Somebody joined a room.',
  ParticipantTracksChanged: 'Somebody in a room publishes something else than before.',
  ParticipantHealthChanged: 'What somebody in a room publishes arrives as it should, or does so no longer.',
  ParticipantLeft: 'Somebody left a room.',
  ParticipantRemoved: 'A moderator put somebody out of a room.',
} as const satisfies Record<RoomEventType, string>;

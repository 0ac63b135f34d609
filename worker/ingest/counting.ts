/** What an encoder sends, counted by track, as the media server would count it of a browser. */
import type { MediaServerEvent, MediaTrackStats } from '../../src/media/media-server.js';
import type { Presence } from './relay.js';
import type { IngestStream } from './server.js';

export type StatsEvent = Extract<MediaServerEvent, { type: 'stats' }>;
type Counters = Pick<IngestStream, 'bytesReceived' | 'packetsReceived' | 'packetsLost'>;

/**
 * Counts one encoder's connection, of which the participant may be another one each time it is brought into the room anew: its
 * counters then begin at zero, and nothing of the connection is counted twice.
 */
export function createCounting() {
  let before: Counters = { bytesReceived: 0, packetsReceived: 0, packetsLost: 0 };
  let newest = before;
  let presence: Presence | null = null;
  let video = { frames: 0, bytes: 0 };

  return {
    begin(next: Presence | null): void {
      presence = next;
      before = newest;
      video = { frames: 0, bytes: 0 };
    },

    /** Null while it is no participant: what comes meanwhile is counted with the next one. */
    report(stream: Counters, at: number): StatsEvent | null {
      if (!presence) return null;
      newest = stream;
      const { mediaId, plan, counted } = presence;
      const { frames, soundBytes, soundPackets } = counted();
      const bytes = stream.bytesReceived - before.bytesReceived;
      // What is around the tracks is counted with the video, but only while there are pictures: else it would look alive.
      if (frames > video.frames) video = { frames, bytes: Math.max(video.bytes, bytes - soundBytes) };
      const ofVideo = {
        bytesReceived: video.bytes,
        // RTMP counts no packets, and loses none.
        packetsReceived: stream.packetsReceived - before.packetsReceived || frames,
        packetsLost: stream.packetsLost - before.packetsLost,
      };
      const ofSound = {
        bytesReceived: plan.video === 'none' && soundPackets > 0 ? bytes : soundBytes,
        packetsReceived: soundPackets,
        packetsLost: 0,
      };
      const tracks = plan.tracks.map(
        ({ mid, kind }): MediaTrackStats => ({ mid, kind, ...(kind === 'VIDEO' ? ofVideo : ofSound), bytesSent: 0 }),
      );
      return { type: 'stats', at, mediaId, connection: mediaId, tracks, issues: plan.issues };
    },
  };
}

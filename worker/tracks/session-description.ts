/** Tells ffmpeg which tracks it will receive, on which ports, as a session description (SDP). */

export interface DescribedTrack {
  kind: 'AUDIO' | 'VIDEO';
  /** `opus`, `vp8` or `h264`. */
  codec: string;
  /** Of RTP, even; RTCP comes to the next. */
  port: number;
}

/** RTP payload types, as the media server is asked to send them. */
export const payloadTypes = { AUDIO: 111, VIDEO: 96 } as const;

const encodings: Record<string, string[]> = {
  opus: ['a=rtpmap:111 opus/48000/2', 'a=fmtp:111 sprop-stereo=1'],
  vp8: ['a=rtpmap:96 VP8/90000'],
  h264: ['a=rtpmap:96 H264/90000', 'a=fmtp:96 packetization-mode=1'],
};

/** Whether tracks of a codec can be written to a file as they are. */
export const isRecordable = (codec: string): boolean => codec in encodings;

/** Everything comes to 127.0.0.1. */
export function describeSession(tracks: readonly DescribedTrack[]): string {
  const lines = ['v=0', 'o=- 0 0 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0'];
  for (const { kind, codec, port } of tracks) {
    lines.push(`m=${kind.toLowerCase()} ${port} RTP/AVP ${payloadTypes[kind]}`, ...(encodings[codec] ?? []));
  }
  return `${lines.join('\r\n')}\r\n`;
}

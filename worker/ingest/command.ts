/** How what an encoder sends is made into what browsers take, at the least cost: the command line of ffmpeg for it. */
import type { RtpPublication, RtpTrack } from '../../src/media/media-server.js';
import type { IngestFacts } from './probe.js';

export interface IngestPlan {
  /** Video first, as it is in `tracks`. */
  video: 'copy' | 'encode' | 'none';
  audio: boolean;
  tracks: RtpTrack[];
  /** What the one at the encoder should change, in words. */
  issues: string[];
}

/** Constrained Baseline: browsers that agree to it decode every profile, since what counts is in the stream itself. */
const h264Profile = '42e01f';
const payloadTypes = { VIDEO: 96, AUDIO: 111 } as const;
/** Leaves room for what WebRTC adds to a packet on a network with 1,280 bytes. */
const packetBytes = 1_200;
/** 2.5 Mbit/s for 720p at 30 frames a second, at which ultrafast looks as it should. */
const bitsPerPixel = 0.09;
const fewestBits = 400_000;
const mostBits = 6_000_000;
/** SRT brings up to 0.35 s of sound at once. */
const longestWaitUs = 500_000;

/** Null when nothing is sent that could be shown or heard. */
export function planIngest({ video, audio }: IngestFacts): IngestPlan | null {
  const mids = ['0', '1'];
  const tracks: RtpTrack[] = [];
  if (video) tracks.push({ mid: mids[0] as string, kind: 'VIDEO', codec: 'h264', source: null, h264Profile });
  if (audio) tracks.push({ mid: mids[tracks.length] as string, kind: 'AUDIO', codec: 'opus', source: null });
  if (tracks.length === 0) return null;
  const reason = video && whyEncode(video);
  return {
    video: video ? (reason ? 'encode' : 'copy') : 'none',
    audio: audio !== null,
    tracks,
    issues: reason ? [reason] : [],
  };
}

function whyEncode(video: NonNullable<IngestFacts['video']>): string | null {
  if (video.codec !== 'h264') {
    return `The encoder sends ${video.codec.toUpperCase()}, which is encoded again as H.264: set it to H.264 to save processor time and quality.`;
  }
  if (video.pixelFormat !== 'yuv420p' && video.pixelFormat !== 'yuvj420p') {
    return `The encoder sends ${video.pixelFormat} pictures, which are encoded again: set it to 8-bit 4:2:0 (NV12 or I420) to save processor time and quality.`;
  }
  if (video.hasBFrames) {
    return 'The encoder sends B-frames, so its video is encoded again: set B-frames to 0 to save processor time, quality and delay.';
  }
  return null;
}

/** UDP ports on 127.0.0.1. */
export interface IngestPorts {
  /** Takes ffmpeg's sender reports, which nobody needs: the port beside the media's may be another publisher's. */
  rtcp: number;
  /** Takes the sound as the encoder sent it, to be counted. */
  sound: number;
}

export function ingestArguments(
  url: string,
  {
    plan,
    facts,
    publication,
    ports,
  }: { plan: IngestPlan; facts: IngestFacts; publication: RtpPublication; ports: IngestPorts },
): string[] {
  const { host, port, tracks } = publication;
  const place = `rtp://${host.includes(':') ? `[${host}]` : host}:${port}?pkt_size=${packetBytes}&rtcpport=${ports.rtcp}`;
  const outputs = plan.tracks.map(({ kind }, index) => {
    const options = [`select=${kind === 'VIDEO' ? 'v' : 'a'}`, 'f=rtp', `payload_type=${payloadTypes[kind]}`];
    return `[${[...options, `ssrc=${tracks[index]?.ssrc}`].join(':')}]${place}`;
  });
  // Who joins later can begin at any key frame only if the parameter sets are there too.
  const picture = ['-map', '0:v:0', '-bsf:v', 'h264_mp4toannexb,dump_extra'];
  const video = { none: [], copy: [...picture, '-c:v', 'copy'], encode: [...picture, ...encoding(facts)] };
  const opus = ['-c:a', 'libopus', '-b:a', '96k', '-ar', '48000', '-ac', '2', '-frame_duration', '20'];
  const sound = [
    '-map',
    '0:a:0',
    '-c:a',
    'copy',
    '-f',
    'data',
    '-flush_packets',
    '1',
    `udp://127.0.0.1:${ports.sound}`,
  ];
  return [
    ...['-nostdin', '-hide_banner', '-loglevel', 'warning', '-progress', 'pipe:1', '-stats_period', '0.5'],
    ...(url.startsWith('rtsp') ? ['-rtsp_transport', 'tcp'] : []),
    // By RTMP it goes on as soon as it knows both tracks, and the picture begins at a key frame, which may be some seconds away; of
    // the others it looks at all of this, whatever it knows.
    ...[
      '-analyzeduration',
      url.startsWith('rtmp') ? '12000000' : '2500000',
      '-fpsprobesize',
      '0',
      '-fflags',
      '+nobuffer',
      '-i',
      url,
    ],
    ...video[plan.video],
    ...(plan.audio ? ['-map', '0:a:0', '-af', 'aresample=async=1', ...opus] : []),
    // Browsers and recorders take what arrives together for what belongs together. Two outputs were up to 0.1 s apart; this one
    // puts sound and picture in order first, and waits for the later of them, though not for one that has stopped.
    ...['-max_interleave_delta', `${longestWaitUs}`, '-f', 'tee', outputs.join('|')],
    ...(plan.audio ? sound : []),
  ];
}

function encoding({ video }: IngestFacts): string[] {
  // Of some codecs the size is only known once a picture was decoded.
  const pixels = (video?.width || 1280) * (video?.height || 720);
  const bits = Math.round(Math.min(mostBits, Math.max(fewestBits, pixels * (video?.fps || 30) * bitsPerPixel)));
  return [
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-profile:v', 'baseline'],
    ...['-vf', 'scale=trunc(iw/2)*2:trunc(ih/2)*2,format=yuv420p', '-threads', '2'],
    ...['-b:v', `${bits}`, '-maxrate', `${bits}`, '-bufsize', `${Math.round(bits / 2)}`],
    // Nobody can ask the encoder for a key frame: who joins waits for the next one.
    ...['-force_key_frames', 'expr:gte(t,n_forced*2)'],
  ];
}

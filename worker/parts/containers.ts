/** What ffmpeg is told to write each format of files with. */
import type { OutputFormat } from '../../src/recordings/config.js';

/** As ffprobe names them; null: there is no such stream. */
export interface Codecs {
  video: string | null;
  audio: string | null;
}

const pieceSeconds = 4;

/** The media that a playlist names lies beside it, all in one file. */
export const mediaBeside = (playlist: string): string => playlist.replace(/\.m3u8$/, '.mp4');

/** Options for a file that players can begin with before they have all of it, and look for any place in. */
export const containerOptions = (format: OutputFormat, codecs: Codecs, output: string): string[] => [
  ...muxers[format](codecs, output),
  `file:${output}`,
];

const muxers: Record<OutputFormat, (codecs: Codecs, output: string) => string[]> = {
  MP4: (codecs) => [...inMp4(codecs), '-movflags', '+faststart', '-f', 'mp4'],
  MKV: () => ['-cues_to_front', '1', '-f', 'matroska'],
  // What a decoder must know is repeated at each picture that it may begin with.
  MPEGTS: ({ video }) => [...(video === 'mpeg4' ? ['-bsf:v', 'dump_extra'] : []), '-f', 'mpegts'],
  FLV: ({ video }) => [...(video ? ['-flvflags', '+add_keyframe_index'] : []), '-f', 'flv'],
  AVI: ({ video }) => [...(video === 'h264' ? ['-bsf:v', 'h264_mp4toannexb'] : []), '-f', 'avi'],
  MP3: () => ['-write_xing', '1', '-f', 'mp3'],
  M3U8: (codecs, output) => [
    ...[...inMp4(codecs), '-f', 'hls', '-hls_segment_type', 'fmp4', '-hls_flags', 'single_file'],
    ...['-hls_time', `${pieceSeconds}`, '-hls_playlist_type', 'vod', '-hls_list_size', '0'],
    ...['-hls_segment_filename', mediaBeside(output)],
  ],
};

/** Players of Apple's know H.265 by this name alone; FLAC in MP4 is a standard that ffmpeg 5 calls an experiment. */
function inMp4({ video, audio }: Codecs): string[] {
  return [...(video === 'hevc' ? ['-tag:v', 'hvc1'] : []), ...(audio === 'flac' ? ['-strict', 'experimental'] : [])];
}

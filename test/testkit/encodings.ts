/** How test media is encoded in each codec that files may hold. */
import type { audioCodecNames, videoCodecs } from '../../src/recordings/formats.js';

/** ffmpeg's options, by the codec's name. */
export const videoEncodings: Record<(typeof videoCodecs)[number], readonly string[]> = {
  h264: ['-c:v', 'libx264', '-preset', 'veryfast', '-bf', '2', '-g', '30', '-pix_fmt', 'yuv420p'],
  hevc: ['-c:v', 'libx265', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-x265-params', 'log-level=none:open-gop=0'],
  av1: ['-c:v', 'libaom-av1', '-usage', 'realtime', '-cpu-used', '8', '-b:v', '1M', '-pix_fmt', 'yuv420p'],
  vp8: ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '1M', '-g', '30', '-auto-alt-ref', '0'],
  vp9: ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '1M', '-pix_fmt', 'yuv420p'],
  mpeg4: ['-c:v', 'mpeg4', '-b:v', '2M', '-bf', '1'],
  mpeg2video: [
    '-c:v',
    'mpeg2video',
    '-b:v',
    '3M',
    '-bf',
    '2',
    '-g',
    '15',
    '-flags',
    '+cgop',
    '-sc_threshold',
    '1000000000',
  ],
  mpeg1video: ['-c:v', 'mpeg1video', '-b:v', '3M', '-g', '15'],
  mjpeg: ['-c:v', 'mjpeg', '-q:v', '4', '-pix_fmt', 'yuvj420p'],
  flv1: ['-c:v', 'flv', '-b:v', '2M'],
};

export const audioEncodings: Record<(typeof audioCodecNames)[number], readonly string[]> = {
  aac: ['-c:a', 'aac'],
  mp3: ['-c:a', 'libmp3lame', '-b:a', '192k'],
  opus: ['-c:a', 'libopus', '-b:a', '128k'],
  ac3: ['-c:a', 'ac3'],
  eac3: ['-c:a', 'eac3'],
  mp2: ['-c:a', 'mp2'],
  dts: ['-c:a', 'dca', '-strict', 'experimental'],
  flac: ['-c:a', 'flac'],
  vorbis: ['-c:a', 'libvorbis'],
  pcm_s16le: ['-c:a', 'pcm_s16le'],
  pcm_s24le: ['-c:a', 'pcm_s24le'],
  pcm_f32le: ['-c:a', 'pcm_f32le'],
  pcm_alaw: ['-c:a', 'pcm_alaw'],
  pcm_mulaw: ['-c:a', 'pcm_mulaw'],
  pcm_s16be: ['-c:a', 'pcm_s16be'],
};

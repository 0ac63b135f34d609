/** What an encoder sends, found out from its first packets: what of it browsers can take as it is. */
import * as z from 'zod';
import { runTool } from '../ffmpeg/run.js';

export interface IngestFacts {
  /** Null where nothing of the kind is sent. */
  video: { codec: string; pixelFormat: string; width: number; height: number; fps: number; hasBFrames: boolean } | null;
  audio: { codec: string } | null;
}

/** Packets are looked at for this long: a group of pictures with B-frames in it shows them within a few frames. */
const sampleSeconds = 1;
/** Finding out what the streams are; a key frame may be some seconds away, and is not needed for it. */
const analysisUs = 1_000_000;
const timeLimitMs = 15_000;

const answerShape = z.object({
  packets: z.array(z.object({ stream_index: z.number(), pts: z.number().optional() })).default([]),
  streams: z
    .array(
      z.object({
        index: z.number(),
        codec_type: z.string().optional(),
        codec_name: z.string().optional(),
        pix_fmt: z.string().optional(),
        width: z.number().optional(),
        height: z.number().optional(),
        has_b_frames: z.number().optional(),
        avg_frame_rate: z.string().optional(),
      }),
    )
    .default([]),
});

/** Reads about two seconds of the stream. Throws ToolError. */
export async function probeIngest(
  url: string,
  { ffprobe, signal }: { ffprobe: string; signal: AbortSignal },
): Promise<IngestFacts> {
  const lines: string[] = [];
  const entries = 'stream=index,codec_type,codec_name,pix_fmt,width,height,has_b_frames,avg_frame_rate';
  const args = [
    ...['-v', 'error', '-rtsp_transport', 'tcp', '-analyzeduration', `${analysisUs}`],
    ...['-read_intervals', `%+${sampleSeconds}`, '-show_entries', `${entries}:packet=stream_index,pts`, '-of', 'json'],
    url,
  ];
  await runTool(ffprobe, args, { timeLimitMs, signal, onLine: (line) => lines.push(line) });
  const { streams, packets } = answerShape.parse(JSON.parse(lines.join('\n')));
  const video = streams.find(({ codec_type }) => codec_type === 'video');
  const audio = streams.find(({ codec_type }) => codec_type === 'audio');
  const times = packets.flatMap(({ stream_index, pts }) =>
    stream_index === video?.index && pts !== undefined ? [pts] : [],
  );
  return {
    video: video
      ? {
          codec: video.codec_name ?? 'unknown',
          pixelFormat: video.pix_fmt ?? 'unknown',
          width: video.width ?? 0,
          height: video.height ?? 0,
          fps: frameRate(video.avg_frame_rate),
          // Some encoders declare none and send them all the same: pictures then come in another order than they are shown.
          hasBFrames: (video.has_b_frames ?? 0) > 0 || times.some((time, index) => time < (times[index - 1] ?? time)),
        }
      : null,
    audio: audio ? { codec: audio.codec_name ?? 'unknown' } : null,
  };
}

function frameRate(text = '0/0'): number {
  const [frames = 0, seconds = 0] = text.split('/').map(Number);
  return seconds > 0 ? frames / seconds : 0;
}

/** Takes one picture out of a video. The only place that knows fluent-ffmpeg, which is no longer maintained. */
import ffmpeg from 'fluent-ffmpeg';

export interface ThumbnailOptions {
  ffmpeg: string;
  ffprobe: string;
  signal?: AbortSignal;
}

// Measured: 0.2 s. The rest is for a machine under load.
const timeLimitSeconds = 60;
const widthPixels = 320;

/** Writes a JPEG, 320 pixels wide, of the picture at `atMs`. Throws when there is none. */
export async function takeThumbnail(
  video: string,
  atMs: number,
  output: string,
  tools: ThumbnailOptions,
): Promise<void> {
  tools.signal?.throwIfAborted();
  const command = ffmpeg(video, { timeout: timeLimitSeconds })
    .setFfmpegPath(tools.ffmpeg)
    .setFfprobePath(tools.ffprobe)
    .seekInput(atMs / 1000)
    .frames(1)
    .videoFilters(`scale=${widthPixels}:-2`)
    .outputOptions([
      '-f',
      'image2',
      '-update',
      '1',
      '-c:v',
      'mjpeg',
      '-q:v',
      '4',
      '-fflags',
      '+bitexact',
      '-flags:v',
      '+bitexact',
    ])
    .output(output);
  const stop = () => command.kill('SIGKILL');
  tools.signal?.addEventListener('abort', stop, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      command.once('end', () => resolve());
      command.once('error', (error: Error) => reject(tools.signal?.aborted ? tools.signal.reason : error));
      command.run();
    });
  } finally {
    tools.signal?.removeEventListener('abort', stop);
  }
}

/** The encoder's argument list, built from typed values only: no word of a client's becomes an option or a filter. */

/** What is captured, and with which geometry. */
export interface CaptureInput {
  /** X display, such as `:7`. */
  display: string;
  /** Authority file of the display. */
  authority: string;
  /** PULSE_SERVER. */
  soundServer: string;
  /** PulseAudio source to record. */
  soundSource: string;
  /** Pixels, even. */
  width: number;
  height: number;
  /** Frames per second. */
  fps: number;
}

export interface PartOutput {
  /** Absolute; must not exist. */
  file: string;
  /** File for ffmpeg's `-progress` reports. */
  progressFile: string;
  /** Media time after which the encoder ends by itself. */
  limitMs: number;
}

export const progressIntervalMs = 500;

// Above 720p30 `veryfast` takes more than a core and drops frames on two; `ultrafast` costs half and needs more bits.
const veryfastPixelRate = 1280 * 720 * 30;
// 4 Mbit/s at 720p30.
const bitsPerPixel = 0.145;
const minimumRate = 1_000_000;

/** Arguments that capture screen and sound into one append-only Matroska file. Throws RangeError for a size that H.264 4:2:0 cannot have. */
export function pagePartArguments(input: CaptureInput, output: PartOutput): string[] {
  const { width, height, fps } = input;
  for (const [name, pixels] of [
    ['width', width],
    ['height', height],
  ] as const) {
    if (!Number.isInteger(pixels) || pixels < 2 || pixels % 2 !== 0) {
      throw new RangeError(`The ${name} is ${pixels} pixels; an even number is needed.`);
    }
  }
  const fast = width * height * fps > veryfastPixelRate;
  const rate = Math.max(minimumRate, Math.round(width * height * fps * bitsPerPixel * (fast ? 2 : 1)));
  // Probing would only delay the first frame: both devices are raw and known.
  const immediate = ['-probesize', '32', '-analyzeduration', '0', '-thread_queue_size', '1024'];
  return [
    ...['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'info', '-n'],
    ...['-progress', `file:${output.progressFile}`, '-stats_period', `${progressIntervalMs / 1000}`],
    // Sound first: it decides when media time begins, so no picture is grabbed before sound is there.
    ...['-f', 'pulse', ...immediate, '-fragment_size', '3840', '-i', input.soundSource],
    // Both devices stamp wall-clock time; without this each input would be moved to zero by itself (-248 ms between them).
    ...['-isync', '0', '-f', 'x11grab', ...immediate, '-draw_mouse', '0', '-framerate', `${fps}`],
    ...['-video_size', `${width}x${height}`, '-i', input.display],
    ...['-map', '1:v', '-map', '0:a', '-t', (output.limitMs / 1000).toFixed(3)],
    // Constant rate: pictures fill the part from its very beginning, and late ones are counted as duplicates.
    ...['-fps_mode', 'cfr', '-c:v', 'libx264', '-preset', fast ? 'ultrafast' : 'veryfast', '-crf', '23'],
    ...['-maxrate', `${rate}`, '-bufsize', `${rate * 2}`, '-g', `${Math.round(fps * 2)}`, '-pix_fmt', 'yuv420p'],
    ...['-c:a', 'aac', '-b:a', '128k', '-ar', '48000', '-ac', '2', '-af', 'aresample=async=1000'],
    // A killed encoder loses at most the open cluster.
    ...['-f', 'matroska', '-cluster_time_limit', '250', '-flush_packets', '1', `file:${output.file}`],
  ];
}

/** Which inputs, codecs and containers go together. */
import type { AudioTreatment, InputType, OutputFormat, VideoTreatment } from './config.js';

export function checkFormat(_wanted: {
  format: OutputFormat;
  video: VideoTreatment;
  audio: AudioTreatment;
  inputType: InputType;
  splitMs: number | null;
  fillGaps: boolean;
}): { field: string; message: string }[] {
  return [];
}

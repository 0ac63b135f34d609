/** Tells while there is time to do something about it that what a source sends does not fit the files that are wanted of it. */
import type { RecordingOutput } from '../../src/recordings/config.js';
import { fallbackFormat, fits } from '../../src/recordings/formats.js';
import { probeHead } from '../ffmpeg/probe.js';
import type { WarningBoard } from '../host/warning-board.js';

/** Looks at the head of a part that is being written. Never throws: what cannot be told now is told by the files. */
export async function watchFormat(options: {
  file: string;
  ffprobe: string;
  output: RecordingOutput;
  warnings: WarningBoard;
}): Promise<void> {
  const { file, ffprobe, output, warnings } = options;
  const facts = await probeHead(file, { ffprobe }).catch(() => null);
  if (!facts) return;
  const video = facts.video?.codec ?? null;
  const audio = facts.audio?.codec ?? null;
  if (fits(output.format, video, audio)) return warnings.clear('FORMAT_UNSUITABLE');
  const sent = [video, audio].filter((codec) => codec !== null).join(' and ');
  warnings.raise('FORMAT_UNSUITABLE', `${output.format} does not hold ${sent}; ${fallbackFormat} is made.`);
}

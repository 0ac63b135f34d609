/** A piece that a recorder's cutter made. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type PieceEntry, piecesFolder } from '../../src/jobs/capture.js';
import { type OutputFormat, outputFormats } from '../../src/recordings/config.js';
import { formats } from '../../src/recordings/formats.js';

/** The file of an entry in an incarnation's manifest; null where it is not there any more, or not whole. */
export async function cutPiece(
  folder: string,
  entry: PieceEntry,
): Promise<{ file: string; format: OutputFormat } | null> {
  const file = join(folder, piecesFolder, entry.file);
  const size = await stat(file).then(
    (found) => found.size,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    },
  );
  const format = outputFormats.find((each) => entry.file.endsWith(`.${formats[each].ending}`));
  return size === entry.bytes && format ? { file, format } : null;
}

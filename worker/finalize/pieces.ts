/** Makes what a split recording still lacks: the pieces of its parts that were not delivered while it went on. */
import { dirname, join } from 'node:path';
import type { RecordingOutput } from '../../src/recordings/config.js';
import { pieceName } from '../../src/services/delivered-files.js';
import { cutsOf } from '../parts/cuts.js';
import { kindsOf } from '../parts/measure.js';
import { makePiece } from '../parts/piece.js';
import { type JoinedPart, type TakenPart, withTakenParts } from '../parts/take.js';
import { cutPiece } from './cut-piece.js';
import type { FinalizeOptions } from './finalize-options.js';
import type { Made } from './made.js';
import { recordingName } from './names.js';
import type { Recorded, RecordedPart } from './recorded.js';
import { finishPiece } from './recording-files.js';

export interface MadePieces {
  files: Made[];
  /** As recorded, one each. */
  parts: JoinedPart[];
  /** All that was recorded, with what was delivered before. */
  recordedMs: number;
}

/**
 * Cuts where the recorder's cutter cuts, or has cut: whatever it delivered is left out, what it only cut is taken. Throws as
 * joining does.
 */
export async function makePieces(
  options: FinalizeOptions,
  output: RecordingOutput & { splitMs: number },
  recorded: Recorded,
  work: string,
): Promise<MadePieces> {
  const { tools, signal, onProgress } = options;
  const taking = {
    ...{ parts: recorded.parts, tools, signal, kinds: kindsOf(output), allowSoundAlone: true },
    onBeat: () => onProgress?.(0),
  };
  return withTakenParts(taking, async (taken, parts) => {
    const files: Made[] = [];
    for (const [index, each] of taken.entries()) {
      const part = recorded.parts[each.index] as RecordedPart;
      files.push(...(await piecesOf(options, output, part, each, work)));
      onProgress?.((index + 1) / taken.length);
    }
    return { files, parts, recordedMs: parts.reduce((sum, { keptMs }) => sum + keptMs, 0) };
  });
}

async function piecesOf(
  options: FinalizeOptions,
  output: RecordingOutput & { splitMs: number },
  recorded: RecordedPart,
  { part, stretch }: TakenPart,
  work: string,
): Promise<Made[]> {
  const { splitMs, format } = output;
  const { incarnation, number, pieces } = recorded;
  const zeroAt = recorded.zeroAt ?? recorded.lastWrittenAt - stretch.toMs;
  const made: Made[] = [];
  const stretches = await cutsOf(part, stretch, { splitMs, known: pieces });
  for (const [piece, own] of stretches.entries()) {
    options.signal?.throwIfAborted();
    const name = pieceName({ incarnation, part: number, piece });
    if (options.deliveredPieces?.has(name)) continue;
    const known = (options.version ?? 1) === 1 ? pieces[piece] : undefined;
    const there = known ? await cutPiece(dirname(recorded.file), known) : null;
    const { media, tracks, facts } = part;
    const fresh = { media, tracks, facts, stretch: own, isFirst: piece === 0, format, base: join(work, name) };
    const cut = there ?? (await makePiece({ ...fresh, tools: options.tools, signal: options.signal }));
    const called = recordingName(options.name, new Date(zeroAt + own.fromMs));
    made.push(...(await finishPiece(options, { ...cut, name }, called, work)));
  }
  return made;
}

/** What there is of a job that no files are made of: a broadcast, or a render, which were for those who saw them. */
import { relative } from 'node:path';
import { probe } from '../ffmpeg/probe.js';
import { type MediaTools, ToolError } from '../ffmpeg/run.js';
import { type FinalizedJob, type FinalizedPart, keepOutcome } from './outcome.js';
import { findRecorded, type RecordedPart } from './recorded.js';

/** Measures the parts of a job; all of them may be removed then. Throws the signal's reason. */
export async function measureJob(jobFolder: string, tools: MediaTools, signal: AbortSignal): Promise<FinalizedJob> {
  const { parts: recorded } = await findRecorded(jobFolder);
  const parts: FinalizedPart[] = [];
  for (const part of recorded) parts.push(await measurePart(part, tools, signal));
  const recordedMs = parts.reduce((total, { durationMs }) => total + durationMs, 0);
  const outcome = { recordedMs, parts, files: [] };
  const removable = recorded.map(({ file }) => relative(jobFolder, file));
  await keepOutcome(jobFolder, { version: 1, outcome, removable });
  return outcome;
}

/** Its host said how long it was, unless that died: then the file is asked. */
async function measurePart(part: RecordedPart, tools: MediaTools, signal: AbortSignal): Promise<FinalizedPart> {
  const durationMs = part.saidMs ?? (await lengthOf(part.file, tools, signal));
  return {
    ...{ incarnation: part.incarnation, number: part.number, bytes: part.bytes, durationMs },
    startedAt: new Date(part.zeroAt ?? part.lastWrittenAt - durationMs),
    endCause: part.endCause ?? (part.fetched ? 'MACHINE_LOST' : 'HOST_DIED'),
  };
}

async function lengthOf(file: string, { ffprobe }: MediaTools, signal: AbortSignal): Promise<number> {
  try {
    return Math.round((await probe(file, { ffprobe, signal })).durationMs);
  } catch (error) {
    // Nothing will be made of it: what cannot be read is as if it had not been.
    if (error instanceof ToolError) return 0;
    throw error;
  }
}

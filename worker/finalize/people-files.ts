/** The files of people who were recorded one by one: for each of them what they sent, joined, in the format that was asked for. */
import { rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { PeopleSource } from '../../src/jobs/capture.js';
import { fits, formats } from '../../src/recordings/formats.js';
import { ToolError } from '../ffmpeg/run.js';
import { type JoinResult, joinParts } from '../parts/join.js';
import { kindsOf, type PartSource } from '../parts/measure.js';
import { encodeTake, type TakeTreatment } from './encode-take.js';
import type { FinalizeOptions } from './finalize-options.js';
import type { Made, MadeFiles } from './made.js';
import { safeName } from './names.js';
import { type Take, type TakeSet, takeSets } from './people-sets.js';
import type { Recorded, RecordedTrack } from './recorded.js';
import { finishRecording } from './recording-files.js';
import { findStretches, type TrackSpan } from './stretches.js';

/** Of what must be encoded though nobody asked for it, bits per second: what rooms ask browsers to send at most. */
const usualPicture = { bitrate: 2_500_000 };
const usualSound = { bitrate: 128_000, sampleRate: 48_000, channels: 2 };
/** Encoding takes most of the time by far; joining reads everything twice. */
const encodingShare = 0.8;

type Options = FinalizeOptions & Required<Pick<FinalizeOptions, 'onProgress'>>;

/** Makes them, one user after the other. What cannot be encoded is kept as it was sent. Throws ToolError, what the disk throws, or the signal's reason. */
export async function peopleFiles(
  options: FinalizeOptions,
  people: PeopleSource,
  recorded: Recorded,
  work: string,
): Promise<MadeFiles> {
  const sets = takeSets(recorded.tracks);
  const made: UserFiles[] = [];
  for (const [index, set] of sets.entries()) {
    const onProgress = (fraction: number) => options.onProgress?.((index + fraction) / sets.length);
    made.push(await userFiles({ ...options, onProgress }, people, set, { work, stem: `user-${index}` }));
  }
  const files = made.flatMap((each) => each.files);
  const spans = made.flatMap((each) => each.spans);
  const parts = findStretches(options.jobFolder, spans);
  const unreadable = new Set(made.flatMap((each) => each.unreadable));
  return {
    files,
    parts,
    tracks: recorded.tracks.map((track) => ({
      ...{ incarnation: track.incarnation, number: track.number, bytes: track.bytes },
      ...(unreadable.has(track) ? { unreadable: true } : {}),
    })),
    problems: made.flatMap((each) => each.problems),
    recordedMs: files.length === 0 ? 0 : parts.reduce((sum, { durationMs }) => sum + durationMs, 0),
    removable: recorded.tracks
      .filter((track) => !unreadable.has(track))
      .map(({ file }) => relative(options.jobFolder, file)),
  };
}

interface UserFiles {
  files: Made[];
  spans: TrackSpan[];
  unreadable: RecordedTrack[];
  problems: string[];
}

async function userFiles(
  options: Options,
  people: PeopleSource,
  set: TakeSet,
  { work, stem }: { work: string; stem: string },
): Promise<UserFiles> {
  const { tools, signal } = options;
  const { output } = people;
  const problems: string[] = [];
  const treatment = treatmentOf(people, set);
  const sources: PartSource[] = [];
  const encoded: string[] = [];
  for (const [index, take] of set.takes.entries()) {
    const onBeat = () => options.onProgress((encodingShare * index) / set.takes.length);
    const file = join(work, `${stem}-take-${index}.mkv`);
    const isMade = await prepare(take, treatment, file, { tools, ...(signal ? { signal } : {}), onBeat }, problems);
    if (isMade) encoded.push(file);
    const { incarnation, zeroAt } = take.track;
    sources.push({ file: isMade ? file : take.track.file, incarnation, zeroAt });
  }
  const joined = await joinParts({
    parts: sources,
    output: (index, format) => join(work, `${stem}-${index}.${formats[format].ending}`),
    workFolder: work,
    ...{ tools, signal, format: output.format, fillGaps: output.fillGaps, kinds: kindsOf(output) },
    allowSoundAlone: true,
    onProgress: (fraction) => options.onProgress(encodingShare + (1 - encodingShare) * fraction),
  });
  for (const file of encoded) await rm(file, { force: true });
  const files: Made[] = [];
  for (const [index, deliverable] of joined.deliverables.entries()) {
    const startedAt = startOf(joined, deliverable.parts[0] as number, set);
    const base = options.fileName?.({ startedAt, user: set.user, index: index + 1 }) ?? safeName(set.user);
    files.push(...(await finishRecording(options, deliverable, base, work)));
  }
  return {
    files,
    spans: joined.parts.flatMap(({ startedAt, durationMs, leftOut }, index) => {
      const fromMs = startedAt ?? set.takes[index]?.track.zeroAt;
      if (fromMs == null || (leftOut !== null && leftOut !== 'recorded-again')) return [];
      return [{ track: (set.takes[index] as Take).track, fromMs, toMs: fromMs + durationMs }];
    }),
    unreadable: joined.parts.flatMap(({ leftOut }, index) =>
      leftOut === 'unreadable' ? [(set.takes[index] as Take).track] : [],
    ),
    problems: [...problems, ...joined.deliverables.flatMap(({ problem }) => problem ?? [])],
  };
}

function startOf({ parts }: JoinResult, index: number, { takes }: TakeSet): Date {
  const { zeroAt, lastWrittenAt } = (takes[index] as Take).track;
  return new Date(parts[index]?.startedAt ?? zeroAt ?? lastWrittenAt);
}

/** All takes of a user are treated alike, so that they can be in one file. */
function treatmentOf({ output, picture, sound }: PeopleSource, { takes }: TakeSet): TakeTreatment {
  const codec = output.format === 'MP3' ? ('libmp3lame' as const) : ('aac' as const);
  const holdsPictures = takes.every(({ codecs }) => fits(output.format, codecs.picture, null));
  const holdsSound = takes.every(({ codecs }) => fits(output.format, null, codecs.sound));
  return {
    picture: picture ?? (holdsPictures ? 'copy' : usualPicture),
    sound: sound || !holdsSound ? { ...(sound ?? usualSound), codec } : 'copy',
  };
}

/** Answers whether there is another file to take instead of the track file. */
async function prepare(
  take: Take,
  treatment: TakeTreatment,
  file: string,
  options: Parameters<typeof encodeTake>[3],
  problems: string[],
): Promise<boolean> {
  const isAsSent = treatment.picture === 'copy' && treatment.sound === 'copy';
  const isAlone = (take.track.origin?.tracks.filter(({ kind }) => kind === 'VIDEO').length ?? 0) <= 1;
  if (isAsSent && isAlone) return false;
  try {
    await encodeTake(take, treatment, file, options);
    return true;
  } catch (error) {
    if (!(error instanceof ToolError) || error.kind !== 'failed') throw error;
    await rm(file, { force: true });
    problems.push(`What ${take.track.origin?.name ?? 'somebody'} sent could not be encoded: ${error.message}`);
    return false;
  }
}

/** The tar of an individual recording: the page as it was recorded, each participant's own files, and a manifest that says when each began. */
import { rm } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { TrackEnd, TrackOrigin } from '../../src/jobs/capture.js';
import type { MediaTools } from '../ffmpeg/run.js';
import type { Deliverable } from '../parts/join.js';
import { safeName } from './names.js';
import type { FinalizedPart, FinalizedTrack } from './outcome.js';
import type { Recorded, RecordedTrack } from './recorded.js';
import { writeTar } from './tar.js';
import { endingFor, makeTrackFile, type TrackMedia } from './track-files.js';

export interface IndividualOptions {
  jobId: string;
  recorded: Pick<Recorded, 'tracks' | 'refused'>;
  /** What was made of the parts, these, and how much of each is in it, milliseconds. */
  composed: readonly Deliverable[];
  parts: readonly FinalizedPart[];
  keptMs: readonly number[];
  /** The tar to be written. */
  output: string;
  /** An existing folder for what is needed on the way. */
  workFolder: string;
  tools: MediaTools;
  signal?: AbortSignal;
  /** Called at least once a second; 0 to 1. */
  onProgress: (fraction: number) => void;
}

export interface IndividualResult {
  /** As given, one each. */
  tracks: FinalizedTrack[];
  /** From the beginning of the recording to the end of what ends last. */
  durationMs: number;
}

/** `manifest.json`. All offsets count from `startedAt`, by one wall clock: recorded time that is missing counts too. */
export interface TarManifest {
  jobId: string;
  /** When the recording of the page begins; null when none was made. ISO 8601, with milliseconds. */
  startedAt: string | null;
  composed: {
    file: string;
    sha256: string;
    durationMs: number;
    /** Which time each stretch of the file is of: gaps between them are cut out of it. */
    parts: { positionMs: number; startedAt: string; offsetMs: number; durationMs: number }[];
  }[];
  /** Time in which the page was not recorded. */
  gaps: { offsetMs: number; durationMs: number; cause: string }[];
  participants: { identity: string; name: string; files: TarFile[] }[];
  /** What there is no file of, and why. */
  notRecorded: { identity: string; name: string; at: string | null; reason: string }[];
}

interface TarFile {
  file: string;
  startedAt: string;
  offsetMs: number;
  durationMs: number;
  tracks: TrackOrigin['tracks'];
  sha256: string;
  /** Why it ended; HOST_DIED and MACHINE_LOST where nobody could say. */
  endCause: TrackEnd | 'HOST_DIED' | 'MACHINE_LOST';
}

const unknown: TrackOrigin = { id: 'unknown', identity: 'unknown', name: 'unknown', tracks: [] };

/** Throws ToolError, what the disk throws, or the signal's reason. A track that nobody can read is left out and named. */
export async function writeIndividual(options: IndividualOptions): Promise<IndividualResult> {
  const { jobId, recorded, composed, parts, keptMs, output, workFolder, tools, signal } = options;
  const firstPart = parts[composed[0]?.parts[0] ?? -1];
  const startedAt = firstPart?.startedAt ?? null;
  const zeroMs = startedAt?.getTime() ?? Math.min(...recorded.tracks.flatMap(({ zeroAt }) => zeroAt ?? []));
  const base = Number.isFinite(zeroMs) ? zeroMs : Date.now();
  const manifest: TarManifest = {
    ...{ jobId, startedAt: startedAt && iso(startedAt) },
    ...{ composed: [], gaps: gapsOf(parts, keptMs, base), participants: [] },
    notRecorded: recorded.refused.map(({ at, origin, reason }) => ({ ...named(origin), at: iso(at), reason })),
  };
  const tar = writeTar(output, signal);
  const names = createNames();
  const total = recorded.tracks.length + composed.length;
  let done = 0;
  let endMs = 0;
  const step = () => {
    done += 1;
    options.onProgress(done / total);
  };

  for (const [index, { file, parts: indexes, durationMs }] of composed.entries()) {
    const name = `composed${index === 0 ? '' : `-${index + 1}`}${extname(file)}`;
    const sha256 = (await tar.add(name, file, new Date(base))).toString('hex');
    let positionMs = 0;
    const stretches = indexes.map((part) => {
      const at = (parts[part] as FinalizedPart).startedAt;
      const stretch = { positionMs, startedAt: iso(at), offsetMs: at.getTime() - base, durationMs: keptMs[part] ?? 0 };
      positionMs += stretch.durationMs;
      endMs = Math.max(endMs, stretch.offsetMs + stretch.durationMs);
      return stretch;
    });
    manifest.composed.push({ file: name, sha256, durationMs, parts: stretches });
    step();
  }

  const tracks: FinalizedTrack[] = [];
  for (const track of recorded.tracks) {
    const { incarnation, number, bytes } = track;
    const origin = track.origin ?? unknown;
    const ending = endingFor(origin.tracks.map(({ codec }) => codec));
    const draft = join(workFolder, `track.${ending}`);
    const onBeat = () => options.onProgress(done / total);
    const made = await makeTrackFile(track, draft, { tools, signal, onBeat });
    if ('leftOut' in made) {
      const at = track.zeroAt === null ? null : iso(track.zeroAt);
      manifest.notRecorded.push({ ...named(origin), at, reason: made.problem });
      tracks.push({ incarnation, number, bytes, ...(made.leftOut === 'unreadable' ? { unreadable: true } : {}) });
    } else {
      const name = names.next(origin, ending);
      const sha256 = (await tar.add(name, draft, new Date(made.startedAt))).toString('hex');
      participantOf(manifest, origin).files.push(describe(track, origin, made, name, sha256, base));
      endMs = Math.max(endMs, made.startedAt - base + made.durationMs);
      tracks.push({ incarnation, number, bytes });
    }
    await rm(draft, { force: true });
    step();
  }
  // Last, since checksums are known only then: nothing is read twice, and only one track at a time needs room of its own.
  await tar.addText('manifest.json', `${JSON.stringify(manifest, null, 2)}\n`, new Date(base));
  await tar.close();
  return { tracks, durationMs: endMs };
}

function describe(
  track: RecordedTrack,
  origin: TrackOrigin,
  { startedAt, durationMs }: TrackMedia,
  file: string,
  sha256: string,
  base: number,
): TarFile {
  return {
    ...{ file, startedAt: iso(startedAt), offsetMs: startedAt - base, durationMs, tracks: origin.tracks, sha256 },
    endCause: track.endCause ?? (track.fetched ? 'MACHINE_LOST' : 'HOST_DIED'),
  };
}

function gapsOf(parts: readonly FinalizedPart[], keptMs: readonly number[], base: number): TarManifest['gaps'] {
  const stretches = parts
    .map(({ startedAt, endCause }, index) => ({ fromMs: startedAt.getTime(), lastsMs: keptMs[index] ?? 0, endCause }))
    .filter(({ lastsMs }) => lastsMs > 0);
  return stretches.slice(1).flatMap(({ fromMs }, index) => {
    const before = stretches[index] as (typeof stretches)[number];
    const endedMs = before.fromMs + before.lastsMs;
    const gap = { offsetMs: endedMs - base, durationMs: fromMs - endedMs, cause: before.endCause };
    return gap.durationMs > 0 ? [gap] : [];
  });
}

function participantOf({ participants }: TarManifest, { identity, name }: TrackOrigin) {
  const known = participants.find((each) => each.identity === identity);
  if (known) return known;
  const participant = { identity, name, files: [] };
  participants.push(participant);
  return participant;
}

/** Names for files of participants: `<name>-<identity>-<n>`, each once, also where capitals do not count. */
function createNames(): { next(origin: TrackOrigin, ending: string): string } {
  const taken = new Set<string>();
  const plain = (text: string) => safeName(text).replaceAll(' ', '-');
  return {
    next({ identity, name }, ending) {
      for (let count = 1; ; count++) {
        const candidate = `${plain(name || identity)}-${plain(identity)}-${count}.${ending}`;
        // Counted without its ending: the next file of somebody may be of another codec.
        const key = candidate.slice(0, -ending.length).toLowerCase();
        if (taken.has(key)) continue;
        taken.add(key);
        return candidate;
      }
    },
  };
}

const named = ({ identity, name }: TrackOrigin) => ({ identity, name });
const iso = (at: number | Date): string => new Date(at).toISOString();

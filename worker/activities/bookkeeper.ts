/** Writes down for everyone what a recorder host says in its files, each thing once. */
import type { Logger } from 'pino';
import type {
  CaptureStats,
  HostOutcome,
  HostPhase,
  HostStatus,
  HostWarning,
  ManifestEntry,
  PartEnd,
} from '../../src/jobs/capture.js';
import type { RecorderWish } from '../../src/jobs/messages.js';
import { unfinishedProgress } from '../../src/jobs/progress.js';
import type { JobState } from '../../src/jobs/states.js';
import type { Captures } from '../../src/services/captures.js';
import type { Transitions } from '../../src/services/transitions.js';
import type { StatsWriter } from '../stats.js';
import type { PieceDelivery } from './piece-delivery.js';

const bytesIntervalMs = 1_000;
/** Outcomes after which another host goes on. */
const goingOn: readonly HostOutcome['kind'][] = ['suspended', 'lease-expired'];

export interface BookDeps {
  captures: Captures;
  transitions: Transitions;
  stats: StatsWriter;
  log: Logger;
}

/** What earlier incarnations recorded. */
export interface Baseline {
  positionMs: number;
  bytes: number;
}

/** What the job's row was last read to wish; a new object whenever that may have changed. */
export interface Wished {
  wish: RecorderWish | undefined;
  nudges: number;
}

interface BookSubject {
  jobId: string;
  incarnation: number;
  maxDurationMs: number;
  baseline: Baseline;
  /** Takes the pieces of a split recording; left out where it is none. */
  pieces?: Pick<PieceDelivery, 'add'> | null;
}

/** Writes down what the manifest and the status say, each thing once. */
export function createBookkeeper({ captures, transitions, stats }: BookDeps, subject: BookSubject) {
  const { jobId, incarnation } = subject;
  const key = (number: number) => ({ jobId, incarnation, number });
  let open: number | undefined;
  let closedMs = 0;
  let closedBytes = 0;
  let phase: HostPhase | undefined;
  let looked: Wished | undefined;
  let warned: string | undefined;
  let reportedAt = 0;
  let toldTargets: string | null = null;
  let toldTargetsMs = Number.NEGATIVE_INFINITY;

  /** What an earlier worker wrote is unknown at first, so the rows are asked even when nothing is wrong. */
  async function warn(warnings: readonly HostWarning[]): Promise<void> {
    const now = warnings.map(({ code, since }) => `${code} ${since}`).join();
    if (now === warned) return;
    await captures.warned({ jobId, incarnation }, warnings);
    warned = now;
  }

  /** Changes of state at once, bytes about once a second. A host of an earlier version says nothing of targets. */
  async function tellTargets({ targets = [] }: Partial<HostStatus>): Promise<void> {
    const now = JSON.stringify(targets.map(({ id, state, message }) => [id, state, message]));
    const isDue = targets.some(({ state }) => state === 'LIVE') && performance.now() - toldTargetsMs >= bytesIntervalMs;
    if (now === toldTargets && !isDue) return;
    await captures.targetsTold({ jobId, incarnation }, targets);
    toldTargets = now;
    toldTargetsMs = performance.now();
  }

  /** A paused job is left only when it is resumed, by its workflow. */
  async function enterStateOf(now: HostPhase): Promise<void> {
    if (now === 'STANDBY') await transitions.transition({ jobId, to: 'STANDBY', from: ['STARTING'], incarnation });
    // The first frame of a part enters RECORDING by itself; this serves the host that is found recording.
    if (now === 'RECORDING' && open !== undefined) {
      const from: JobState[] = ['STARTING', 'STANDBY', 'RECONNECTING'];
      await transitions.transition({ jobId, to: 'RECORDING', from, incarnation });
    }
    if (now === 'RECONNECTING')
      await transitions.transition({ jobId, to: 'RECONNECTING', from: ['RECORDING'], incarnation });
  }

  return {
    async write(entry: ManifestEntry): Promise<void> {
      if (entry.type === 'first-frame') {
        await captures.partStarted(key(entry.part), new Date(entry.at));
        open = entry.part;
      }
      if (entry.type === 'part-ended' && open === entry.part) {
        await captures.partEnded(key(entry.part), entry);
        closedMs += entry.durationMs;
        closedBytes += entry.bytes;
        open = undefined;
      }
      if (entry.type === 'piece') subject.pieces?.add(entry);
    },

    /** Once more is looked after each change of the wish, even if the host need not do anything for it. */
    async follow(status: HostStatus, wished: Wished): Promise<void> {
      if (status.phase !== phase || wished !== looked) {
        await enterStateOf(status.phase);
        phase = status.phase;
        looked = wished;
      }
      await warn(status.warnings);
      await tellTargets(status);
      if (status.at === reportedAt || status.stats.positionMs === 0) return;
      reportedAt = status.at;
      const positionMs = subject.baseline.positionMs + status.stats.positionMs;
      const bytes = subject.baseline.bytes + status.stats.bytes;
      const progress = Math.min(unfinishedProgress, (100 * positionMs) / subject.maxDurationMs);
      stats.set({ jobId, incarnation, progress, stats: { ...status.stats, positionMs, bytes } });
    },

    /** `last`: what it said when it ended. */
    async hostEnded({ kind }: HostOutcome, last: HostStatus | null): Promise<void> {
      await warn([]);
      if (goingOn.includes(kind)) await captures.targetsInterrupted({ jobId, incarnation });
      else if (last) await tellTargets(last);
      await stats.flush();
    },

    async hostDied(last: CaptureStats | undefined): Promise<void> {
      const cause: PartEnd = 'HOST_DIED';
      if (open !== undefined) {
        // What the host last said, for now; finalizing measures what is really in the file.
        const durationMs = Math.max(0, Math.round((last?.positionMs ?? 0) - closedMs));
        const bytes = Math.max(0, (last?.bytes ?? 0) - closedBytes);
        await captures.partEnded(key(open), { durationMs, bytes, cause });
      }
      await warn([]);
      await captures.targetsInterrupted({ jobId, incarnation });
      await transitions.transition({ jobId, to: 'RECONNECTING', from: ['RECORDING'], incarnation });
    },
  };
}

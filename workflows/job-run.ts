/** What a job's workflow knows of its job, and how that changes. */
import type { JobInput } from '../src/jobs/messages.js';
import type { JobReason } from '../src/jobs/reasons.js';

export interface Cause {
  reason: JobReason;
  message?: string;
}

export interface JobRun {
  /** Why the job ends, once it does. */
  end: Cause | undefined;
  /** Its last state is written. */
  over: boolean;
  machineId: string | undefined;
  /** The machine was told us since we last asked for one. */
  placed: boolean;
  /** When a recorder first had the source open and waited, epoch ms. */
  standbySince: number | undefined;
  /** It need not, or need no longer, wait to be begun. */
  begun: boolean;
  /** When the first frame was recorded, epoch ms. */
  recordingSince: number | undefined;
  /** When it is to end, whatever it is at, epoch ms; undefined: at no certain time. */
  stopAt: number | undefined;
  /** Since when it is paused, epoch ms; undefined when it is not. */
  pausedSince: number | undefined;
  /** Ends the job; the first reason stays. */
  halt(reason: JobReason, message?: string): void;
  pause(): void;
  /** Ends a pause, which then does not count towards the duration. Answers what takes that back. */
  resume(): () => void;
  /** What is left of the maximum duration, ms. */
  leftMs(): number;
}

export function createJobRun({ resume, maxDurationMs, standbyTimeoutMs, stopAt }: JobInput): JobRun {
  const pausedForMs = resume?.pausedForMs;
  let pausedMs = 0;
  return {
    end: undefined,
    over: false,
    machineId: resume?.machineId ?? undefined,
    placed: resume?.machineId != null,
    standbySince: undefined,
    begun: standbyTimeoutMs === undefined || resume?.begun === true,
    recordingSince: resume?.elapsedMs == null ? undefined : Date.now() - resume.elapsedMs - (pausedForMs ?? 0),
    stopAt,
    pausedSince: pausedForMs === undefined ? undefined : Date.now() - pausedForMs,
    halt(reason, message) {
      this.end ??= { reason, message };
    },
    pause() {
      this.pausedSince ??= Date.now();
    },
    resume() {
      const before = { pausedSince: this.pausedSince, pausedMs };
      if (this.pausedSince !== undefined) pausedMs += Date.now() - this.pausedSince;
      this.pausedSince = undefined;
      return () => {
        this.pausedSince = before.pausedSince;
        pausedMs = before.pausedMs;
      };
    },
    leftMs() {
      const now = Date.now();
      const countedMs = (this.pausedSince ?? now) - (this.recordingSince ?? now) - pausedMs;
      return maxDurationMs - countedMs;
    },
  };
}

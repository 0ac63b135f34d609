/** The one state machine every job of every kind goes through: which state may follow which, and how long each may last. */

export const jobStates = [
  'SCHEDULED',
  'QUEUED',
  'STARTING',
  'STANDBY',
  'RECORDING',
  'RECONNECTING',
  'PAUSED',
  'STOPPING',
  'FINALIZING',
  'COMPLETE',
  'PARTIAL',
  'FAILED',
  'EXPIRED',
  'CANCELED',
] as const;
export type JobState = (typeof jobStates)[number];

export const jobKinds = ['ARCHIVE', 'RENDER', 'RECORDING', 'TASK'] as const;
export type JobKind = (typeof jobKinds)[number];

/** For each state, the states that may follow it. A terminal state has none: it is final. */
export const transitions = {
  SCHEDULED: ['QUEUED', 'CANCELED', 'FAILED'],
  QUEUED: ['STARTING', 'EXPIRED', 'CANCELED', 'FAILED'],
  // Back to QUEUED when the machine is lost before anything was recorded.
  STARTING: ['STANDBY', 'RECORDING', 'STOPPING', 'FINALIZING', 'QUEUED', 'CANCELED', 'FAILED'],
  STANDBY: ['RECORDING', 'STOPPING', 'FINALIZING', 'QUEUED', 'EXPIRED', 'CANCELED', 'FAILED'],
  RECORDING: ['RECONNECTING', 'PAUSED', 'STOPPING', 'FINALIZING'],
  RECONNECTING: ['RECORDING', 'PAUSED', 'STOPPING', 'FINALIZING'],
  // Resumed, it is taken up again like any interrupted recording: the first frame makes it RECORDING.
  PAUSED: ['RECONNECTING', 'STOPPING', 'FINALIZING'],
  STOPPING: ['FINALIZING', 'CANCELED'],
  FINALIZING: ['COMPLETE', 'PARTIAL', 'FAILED', 'CANCELED'],
  COMPLETE: [],
  PARTIAL: [],
  FAILED: [],
  EXPIRED: [],
  CANCELED: [],
} as const satisfies Record<JobState, readonly JobState[]>;

export const terminalStates = jobStates.filter((state) => transitions[state].length === 0);

export const isTerminal = (state: JobState): boolean => terminalStates.includes(state);

/** A job in one of these is to be recorded, or is being so: not one that is ending. */
export const liveStates = jobStates.filter(
  (state) => !isTerminal(state) && state !== 'STOPPING' && state !== 'FINALIZING',
);

/** The states from which `to` may be entered. */
export function statesBefore(to: JobState): JobState[] {
  return jobStates.filter((from) => (transitions[from] as readonly JobState[]).includes(to));
}

/** Something of a job in one of these is recorded, and more is to be. */
export const begunStates = ['RECORDING', 'RECONNECTING', 'PAUSED'] as const satisfies readonly JobState[];
export const hasBegun = (state: JobState): boolean => (begunStates as readonly JobState[]).includes(state);

/** What a client may ask of a job, and in which states it is granted. Everywhere else the answer is InvalidStateError. */
export const requests = {
  /** End a recording and keep what was recorded. */
  stop: begunStates,
  /** Give up a job that has not begun to record; nothing is kept. */
  cancel: ['SCHEDULED', 'QUEUED', 'STARTING', 'STANDBY'],
  /** Begin to record what waits for it. */
  begin: ['STANDBY'],
  /** Record nothing for a while; the result is one file all the same. */
  pause: ['RECORDING', 'RECONNECTING'],
  resume: ['PAUSED'],
} as const satisfies Record<string, readonly JobState[]>;
export type JobRequest = keyof typeof requests;

export function isGranted(request: JobRequest, state: JobState): boolean {
  return (requests[request] as readonly JobState[]).includes(state);
}

/** Milliseconds a job may stay in each state that has no deadline of its own in the job's settings. */
export const stateLimitsMs = {
  // Two page loads of 30 s, a browser launch, and the way to the machine (60 s at most).
  STARTING: 180_000,
  // A worker that died is noticed after 60 s; after this long without media the job keeps what it has.
  RECONNECTING: 300_000,
  // ffmpeg ends within 10 s or is killed; a dead worker is noticed after 60 s.
  STOPPING: 90_000,
  // Remuxing costs about 1.5 s per GB; the rest is for retries after a restart.
  FINALIZING: 3_600_000,
} as const;

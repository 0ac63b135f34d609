/** What clients ask of a running job, and what its recorder and the allocator tell it: the workflow's updates and signals. */
import { ApplicationFailure, defineSignal, defineUpdate, setHandler } from '@temporalio/workflow';
import {
  invalidStateFailure,
  type OverdueSignal,
  overdueSignalName,
  type PlacedSignal,
  placedSignalName,
  type RequestAnswer,
  recordingSignalName,
  type StopRequest,
  type StopTimeSignal,
  standbySignalName,
  stopTimeSignalName,
  type TransitionInput,
} from '../src/jobs/messages.js';
import { hasBegun, type JobRequest, type JobState } from '../src/jobs/states.js';
import { records } from './activities.js';
import type { JobRun } from './job-run.js';

const stopUpdate = defineUpdate<RequestAnswer, [StopRequest | undefined]>('stop' satisfies JobRequest);
const cancelUpdate = defineUpdate<RequestAnswer>('cancel' satisfies JobRequest);
const beginUpdate = defineUpdate<RequestAnswer>('begin' satisfies JobRequest);
const pauseUpdate = defineUpdate<RequestAnswer>('pause' satisfies JobRequest);
const resumeUpdate = defineUpdate<RequestAnswer>('resume' satisfies JobRequest);
const placedSignal = defineSignal<[PlacedSignal]>(placedSignalName);
const standbySignal = defineSignal(standbySignalName);
const recordingSignal = defineSignal(recordingSignalName);
const overdueSignal = defineSignal<[OverdueSignal]>(overdueSignalName);
const stopTimeSignal = defineSignal<[StopTimeSignal]>(stopTimeSignalName);

const refused = (state: JobState) => ApplicationFailure.nonRetryable(state, invalidStateFailure);

/**
 * Sets the handlers; the run must be complete, since messages that wait are handled the moment their handler is set.
 * A request is granted by the row, in the activity that writes it, so that its answer never contradicts what clients see.
 */
export function answerRequests(options: {
  jobId: string;
  run: JobRun;
  enter(to: JobState, more?: Pick<TransitionInput, 'reason' | 'from'>): Promise<RequestAnswer & { state: JobState }>;
  /** Has the recorder, if there is one, look at the row. */
  steer(): void;
}): void {
  const { jobId, run, enter, steer } = options;
  const validator = () => {
    if (run.over || run.end) throw refused('STOPPING');
  };

  setHandler(placedSignal, ({ machineId }) => {
    // May be told twice; a machine that records is not exchanged under way.
    if (run.placed) return;
    run.machineId = machineId;
    run.placed = true;
  });
  setHandler(standbySignal, () => {
    run.standbySince ??= Date.now();
  });
  setHandler(recordingSignal, () => {
    run.recordingSince ??= Date.now();
  });
  setHandler(stopTimeSignal, ({ stopAt }) => {
    run.stopAt = stopAt;
  });
  setHandler(overdueSignal, async ({ state }) => {
    // It may have left the state meanwhile: from nowhere, nothing is entered, and the present state answered.
    const now = await enter(state, { from: [] });
    if (now.state === state) run.halt('CAPTURE_FAILED', 'It could not be taken up again in time.');
  });

  setHandler(
    stopUpdate,
    async (request?: StopRequest) => {
      const { reason = 'USER_INITIATED' } = request ?? {};
      run.halt(reason);
      return enter('STOPPING', { reason });
    },
    // Its arguments name the update's own for TypeScript.
    { validator: (_request: StopRequest | undefined) => validator() },
  );

  setHandler(
    cancelUpdate,
    async () => {
      run.halt('CANCELED');
      // Without a machine there is nothing to stop; placed just now, it may still be queued.
      const from = ['STARTING', 'STANDBY'] as const;
      const stopping = run.placed ? await enter('STOPPING', { reason: 'CANCELED', from }) : undefined;
      // It began to record just before, which nobody had told us: what is there is kept, as after a stop.
      if (stopping && hasBegun(stopping.state)) run.end = { reason: 'USER_INITIATED' };
      if (stopping && stopping.state !== 'QUEUED') return stopping;
      return enter('CANCELED', { reason: 'CANCELED' });
    },
    {
      validator: () => {
        validator();
        if (run.recordingSince) throw refused('RECORDING');
      },
    },
  );

  setHandler(
    beginUpdate,
    async () => {
      const before = run.begun;
      // At once, so that the time of standby cannot run out while this is written.
      run.begun = true;
      const { granted, state, sequence } = await records.begin({ jobId });
      if (!granted) {
        run.begun = before;
        throw refused(state);
      }
      steer();
      return { sequence };
    },
    { validator },
  );

  setHandler(
    pauseUpdate,
    async () => {
      const answer = await enter('PAUSED');
      if (answer.state !== 'PAUSED') throw refused(answer.state);
      run.pause();
      steer();
      return answer;
    },
    { validator },
  );

  setHandler(
    resumeUpdate,
    async () => {
      // At once, so that the time of the pause cannot run out while this is written.
      const takeBack = run.resume();
      const answer = await enter('RECONNECTING', { from: ['PAUSED'] });
      if (answer.state !== 'RECONNECTING') {
        takeBack();
        throw refused(answer.state);
      }
      steer();
      return answer;
    },
    { validator },
  );
}

/** The connection to Temporal, and the few things the API and the reconciler ask of it. */

import {
  Client,
  Connection,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { type Config, requireTemporalAddress } from '../config.js';
import {
  type DeliverInput,
  deliverWorkflowId,
  invalidStateFailure,
  type JobInput,
  jobsTaskQueue,
  jobWorkflowId,
  type OverdueSignal,
  overdueSignalName,
  type PlacedSignal,
  placedSignalName,
  type RequestAnswer,
  recordingSignalName,
  type StopRequest,
  standbySignalName,
  stopTimeSignalName,
} from '../jobs/messages.js';
import type { JobReason } from '../jobs/reasons.js';
import type { JobRequest } from '../jobs/states.js';

/** Address, TLS and API key from the settings Temporal's own tools use (TEMPORAL_ADDRESS, TEMPORAL_API_KEY, TEMPORAL_TLS_…). */
export function temporalConnectionOptions(config: Config) {
  const { connectionOptions } = loadClientConnectConfig({ disableFile: true });
  return { ...connectionOptions, address: requireTemporalAddress(config) };
}

/** A client that connects when first used, so that a process boots without Temporal. */
export function createTemporalClient(config: Config): Client {
  const connection = Connection.lazy({ ...temporalConnectionOptions(config), connectTimeout: '5s' });
  return new Client({ connection, namespace: config.temporal.namespace });
}

/** An Update needs a living workflow worker; without one the caller is told after this long. */
const updateDeadlineMs = 15_000;
const startDeadlineMs = 5_000;

/** How a request to a job's workflow ended: granted, refused in a state, no such workflow running, or no answer in time. */
export type EngineAnswer =
  | { kind: 'granted'; sequence: number }
  | { kind: 'refused'; state: string }
  | { kind: 'absent' }
  | { kind: 'silent' };

export type Engine = ReturnType<typeof createEngine>;

export function createEngine(client: Client) {
  /** Asks something of a job's workflow, by the update of that name. The same update id has one effect, and one answer. */
  async function ask(jobId: string, request: JobRequest, updateId?: string, stop?: StopRequest): Promise<EngineAnswer> {
    const handle = client.workflow.getHandle(jobWorkflowId(jobId));
    const named = updateId ? { updateId } : {};
    try {
      const answer = await client.withDeadline(Date.now() + updateDeadlineMs, () =>
        stop
          ? handle.executeUpdate<RequestAnswer, [StopRequest]>(request, { ...named, args: [stop] })
          : handle.executeUpdate<RequestAnswer, []>(request, named),
      );
      return { kind: 'granted', ...answer };
    } catch (error) {
      if (error instanceof WorkflowUpdateFailedError) {
        const { cause } = error;
        if (cause instanceof ApplicationFailure && cause.type === invalidStateFailure)
          return { kind: 'refused', state: cause.message };
        throw error;
      }
      if (error instanceof WorkflowNotFoundError) return { kind: 'absent' };
      return { kind: 'silent' };
    }
  }

  return {
    client,
    /** Starts the job's workflow, once: a second start for the same job changes nothing. */
    async startJob(input: JobInput): Promise<void> {
      try {
        await client.withDeadline(Date.now() + startDeadlineMs, () =>
          client.workflow.start('job', {
            workflowId: jobWorkflowId(input.jobId),
            taskQueue: jobsTaskQueue,
            args: [input],
            // Resuming follows a closed execution of the same id; anything else must never run twice.
            workflowIdReusePolicy: input.resume ? 'ALLOW_DUPLICATE' : 'REJECT_DUPLICATE',
            workflowIdConflictPolicy: 'USE_EXISTING',
          }),
        );
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      }
    },
    ask,
    /** Stops a job, if it is running, for a reason that is not its client's. May be said again and again: the first reason stays. */
    async stop(jobId: string, reason: JobReason): Promise<EngineAnswer> {
      return ask(jobId, 'stop', `stop-for:${reason}`, { reason });
    },
    /** Tells the job's workflow its machine; where there is none, starts it with that. */
    async startPlaced(input: JobInput, placed: PlacedSignal): Promise<void> {
      await client.withDeadline(Date.now() + startDeadlineMs, () =>
        client.workflow.signalWithStart('job', {
          workflowId: jobWorkflowId(input.jobId),
          taskQueue: jobsTaskQueue,
          args: [input],
          signal: placedSignalName,
          signalArgs: [placed],
          // It may be the successor of one that was lost.
          workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        }),
      );
    },
    /** True once the job's workflow knows its machine; false when there is no such workflow. */
    async tellPlaced(jobId: string, placed: PlacedSignal): Promise<boolean> {
      try {
        await client.withDeadline(Date.now() + startDeadlineMs, () =>
          client.workflow.getHandle(jobWorkflowId(jobId)).signal(placedSignalName, placed),
        );
        return true;
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return false;
        throw error;
      }
    },
    /** Tells the job's workflow that a frame was recorded: from now on its maximum duration counts. */
    async tellRecording(jobId: string): Promise<void> {
      await client.withDeadline(Date.now() + startDeadlineMs, () =>
        client.workflow.getHandle(jobWorkflowId(jobId)).signal(recordingSignalName),
      );
    },
    /** Tells the job's workflow that the source is open and waits to be recorded: from now on its standby time counts. */
    async tellStandby(jobId: string): Promise<void> {
      await client.withDeadline(Date.now() + startDeadlineMs, () =>
        client.workflow.getHandle(jobWorkflowId(jobId)).signal(standbySignalName),
      );
    },
    /** Starts the workflow that makes the files of an ended job again: once a version, and once more each time that failed. */
    async startDelivery(input: DeliverInput): Promise<void> {
      try {
        await client.withDeadline(Date.now() + startDeadlineMs, () =>
          client.workflow.start('deliver', {
            workflowId: deliverWorkflowId(input),
            taskQueue: jobsTaskQueue,
            args: [input],
            workflowIdReusePolicy: 'ALLOW_DUPLICATE_FAILED_ONLY',
            workflowIdConflictPolicy: 'USE_EXISTING',
          }),
        );
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      }
    },
    /** Tells the job's workflow that the job has been in this state for longer than it may. */
    async tellOverdue(jobId: string, overdue: OverdueSignal): Promise<void> {
      await client.withDeadline(Date.now() + startDeadlineMs, () =>
        client.workflow.getHandle(jobWorkflowId(jobId)).signal(overdueSignalName, overdue),
      );
    },
    /** Tells the job's workflow when it is to stop. One that is not running finds it in its row when it is started. */
    async tellStopTime(jobId: string, stopAt: Date): Promise<void> {
      try {
        await client.withDeadline(Date.now() + startDeadlineMs, () =>
          client.workflow.getHandle(jobWorkflowId(jobId)).signal(stopTimeSignalName, { stopAt: stopAt.getTime() }),
        );
      } catch (error) {
        if (!(error instanceof WorkflowNotFoundError)) throw error;
      }
    },
    /** Whether the job's workflow is running. */
    async isRunning(jobId: string): Promise<boolean> {
      try {
        const description = await client.workflow.getHandle(jobWorkflowId(jobId)).describe();
        return description.status.name === 'RUNNING';
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return false;
        throw error;
      }
    },
  };
}

/** Tasks as a client starts, stops and follows them. */
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { createTapedeck } from '../../examples/client/client.js';
import type { StartTaskInput, TaskPayloadInput, TaskQuery, TaskState } from '../../examples/client/gql/graphql.js';
import { StartTask, StopTask, Task } from '../../examples/client/operations.js';
import { uuidFrom } from '../../schema/ids.js';
import { RefusedError } from './recordings.js';

export type TaskFacts = NonNullable<TaskQuery['task']>;
export type TaskFile = TaskFacts['files']['nodes'][number];

export interface TestTask {
  /** Global id. */
  id: string;
  /** Of its row, its job's and the job's folder. */
  jobId: string;
  facts(): Promise<TaskFacts>;
  /** Waits until it is in the state; throws when it ends in another. */
  until(state: TaskState): Promise<TaskFacts>;
  /** Waits until it has recorded for so long. */
  recordedFor(ms: number): Promise<void>;
  /** Answers what became of the request. Throws RefusedError. */
  stop(requestId?: string): Promise<{ requestId: string; status: string; message: string }>;
  /** Stops it and waits until it has; answers its files. */
  finish(): Promise<TaskFile[]>;
  download(file: TaskFile, folder: string): Promise<string>;
}

const pollMs = 100;
const ended: TaskState[] = ['STOPPED', 'FAILED', 'TIMEOUT'];

export function createTaskKit({ url, apiKey }: { url: string; apiKey: string }) {
  const tapedeck = createTapedeck({ url, apiKey, webSocket: WebSocket });

  function find(id: string): TestTask {
    const facts = async () => {
      const { task } = await tapedeck.request(Task, { id });
      if (!task) throw new Error('the task is gone');
      return task;
    };
    const until = async (state: TaskState) => {
      for (;;) {
        const now = await facts();
        if (now.state === state) return now;
        if (ended.includes(now.state)) throw new Error(`ended ${now.state}: ${now.reason} ${now.error}`);
        await sleep(pollMs);
      }
    };
    const stop = async (requestId: string = crypto.randomUUID()) => {
      const { stopTask } = await tapedeck.request(StopTask, { input: { taskId: id, requestId } });
      if (stopTask.__typename !== 'StopTaskPayload') throw refused(stopTask);
      return stopTask;
    };
    return {
      ...{ id, jobId: uuidFrom(id, ['Task'], 'task'), facts, until, stop },
      async recordedFor(ms) {
        for (;;) {
          const { state, error, job } = await facts();
          if (ended.includes(state)) throw new Error(`ended ${state}: ${error}`);
          if ((job.stats?.position ?? 0) * 1_000 >= ms) return;
          await sleep(pollMs);
        }
      },
      async finish() {
        await stop();
        return (await until('STOPPED')).files.nodes;
      },
      async download(file, folder) {
        const path = join(folder, file.name);
        const answer = await fetch(file.downloadUrl as string);
        if (!answer.ok || !answer.body) throw new Error(`${file.name} answered ${answer.status}`);
        await pipeline(Readable.fromWeb(answer.body as never), createWriteStream(path));
        return path;
      },
    };
  }

  return {
    find,
    /** Throws RefusedError. */
    async start(payload: TaskPayloadInput, more: Partial<StartTaskInput> = {}): Promise<TestTask> {
      const { startTask } = await tapedeck.request(StartTask, {
        input: { requestId: crypto.randomUUID(), payload, ...more },
      });
      if (startTask.__typename !== 'StartTaskPayload') throw refused(startTask);
      return find(startTask.taskId);
    },
    close: () => tapedeck.close(),
  };
}
export type TaskKit = ReturnType<typeof createTaskKit>;

function refused(answer: { code: string; message: string; issues?: { field: string }[] }): RefusedError {
  return new RefusedError(answer.code, answer.issues?.map(({ field }) => field) ?? [], answer.message);
}

/** Recordings as a client makes, runs and follows them, with a look behind the scenes for tests that break things there. */
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { createTapedeck, type Tapedeck } from '../../examples/client/client.js';
import type {
  CreateRecordingInput,
  FileKind,
  JobState,
  RecordingFilesQuery,
  RecordingQuery,
  UpdateRecordingInput,
} from '../../examples/client/gql/graphql.js';
import { followJob, type JobEvent } from '../../examples/client/job.js';
import {
  CreateRecording,
  DeleteRecording,
  DeleteRecordingFile,
  Recording,
  RecordingFiles,
  StartRecording,
  StopRecording,
  UpdateRecording,
} from '../../examples/client/operations.js';

export type RecordingFacts = NonNullable<RecordingQuery['recording']>;
export type RunFacts = RecordingFacts['runs']['nodes'][number];
export type RecordedFile = NonNullable<RecordingFilesQuery['recording']>['files']['nodes'][number];

/** A request that was refused: `code` of the failure, and for bad input the fields that are wrong. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  constructor(
    readonly code: string,
    readonly fields: string[],
    message: string,
  ) {
    super(`${code}: ${message}`);
  }
}

export interface TestRecording {
  /** Global id. */
  id: string;
  /** Id of the recording's row. */
  recordingId: string;
  facts(): Promise<RecordingFacts>;
  /** The newest run. Throws when it was never started. */
  run(): Promise<RunFacts>;
  /** Id of the row and folder of the newest run's job. */
  runJobId(): Promise<string>;
  /** Waits until the newest run is in one of the states; throws when it ends in another. */
  until(...states: JobState[]): Promise<RunFacts>;
  /** Waits until the newest run has recorded so much media, all its parts together. */
  recordedFor(ms: number): Promise<void>;
  /** Waits until there are so many files with recorded media. */
  filesReach(count: number): Promise<RecordedFile[]>;
  /** Answers when that is accepted, and whether there was a run to stop, which ends on its own. */
  stop(requestId?: string): Promise<boolean>;
  start(requestId?: string): Promise<void>;
  /** Throws RefusedError. */
  update(change: Omit<UpdateRecordingInput, 'recordingId'>): Promise<void>;
  /** Deletes the recording. Throws RefusedError. */
  remove(): Promise<void>;
  /** Files of all runs, oldest first; those with recorded media unless told. */
  files(kinds?: FileKind[] | null): Promise<RecordedFile[]>;
  removeFile(fileId: string): Promise<void>;
  /** Downloads a file of it; answers where it lies. */
  download(file: RecordedFile, folder: string): Promise<string>;
  /** Stops the run and waits for its end; answers its files with recorded media. */
  finish(...states: JobState[]): Promise<RecordedFile[]>;
  /** Follows the newest run's job from its first event to its end. */
  events(): Promise<JobEvent[]>;
}

const pollMs = 100;
const finalStates: JobState[] = ['COMPLETE', 'PARTIAL', 'FAILED', 'EXPIRED', 'CANCELED'];
const recorded: FileKind[] = ['VIDEO', 'PLAYLIST'];
const rowIdOf = (id: string): string => Buffer.from(id, 'base64').toString().split(':')[1] as string;

interface Refusal {
  __typename: string;
  code: string;
  message: string;
  issues?: { field: string; message: string }[];
}
function refused(answer: Refusal): RefusedError {
  return new RefusedError(answer.code, answer.issues?.map(({ field }) => field) ?? [], answer.message);
}

export function createRecordingKit({ url, apiKey }: { url: string; apiKey: string }) {
  const tapedeck: Tapedeck = createTapedeck({ url, apiKey, webSocket: WebSocket });

  /** A recording that was made before. */
  function find(id: string): TestRecording {
    const facts = async () => {
      const { recording } = await tapedeck.request(Recording, { id });
      if (!recording) throw new Error('the recording is gone');
      return recording;
    };
    const run = async () => {
      const [newest] = (await facts()).runs.nodes;
      if (!newest) throw new Error('the recording was never started');
      return newest;
    };
    const until = async (...states: JobState[]) => {
      for (;;) {
        const now = await run();
        if (states.includes(now.state)) return now;
        if (finalStates.includes(now.state)) throw new Error(`ended ${now.state}: ${now.reason} ${now.message}`);
        await sleep(pollMs);
      }
    };
    const files = async (kinds: FileKind[] | null = recorded) => {
      const all: RecordedFile[] = [];
      for (let after: string | null = null; ; ) {
        const { recording }: RecordingFilesQuery = await tapedeck.request(RecordingFiles, { id, kinds, after });
        if (!recording) throw new Error('the recording is gone');
        all.push(...recording.files.nodes);
        if (!recording.files.pageInfo.hasNextPage) return all;
        after = recording.files.pageInfo.endCursor ?? null;
      }
    };
    const stop = async (requestId?: string) => {
      const { stopRecording } = await tapedeck.request(StopRecording, { input: { recordingId: id, requestId } });
      if (stopRecording.__typename !== 'StopRecordingPayload') throw refused(stopRecording);
      return stopRecording.job !== null;
    };
    return {
      id,
      recordingId: rowIdOf(id),
      facts,
      run,
      until,
      files,
      stop,
      runJobId: async () => rowIdOf((await run()).id),
      async recordedFor(ms) {
        for (;;) {
          const { state, stats } = await until('QUEUED', 'STARTING', 'RECORDING', 'RECONNECTING');
          if (state === 'RECORDING' && (stats?.position ?? 0) * 1000 >= ms) return;
          await sleep(pollMs);
        }
      },
      async filesReach(count) {
        for (;;) {
          const found = await files();
          if (found.length >= count) return found;
          await sleep(pollMs);
        }
      },
      async start(requestId) {
        const { startRecording } = await tapedeck.request(StartRecording, { input: { recordingId: id, requestId } });
        if (startRecording.__typename !== 'StartRecordingPayload') throw refused(startRecording);
      },
      async update(change) {
        const { updateRecording } = await tapedeck.request(UpdateRecording, { input: { recordingId: id, ...change } });
        if (updateRecording.__typename !== 'UpdateRecordingPayload') throw refused(updateRecording);
      },
      async remove() {
        const { deleteRecording } = await tapedeck.request(DeleteRecording, { input: { recordingId: id } });
        if (deleteRecording.__typename !== 'DeleteRecordingPayload') throw refused(deleteRecording);
      },
      async removeFile(fileId) {
        const { deleteRecordingFile } = await tapedeck.request(DeleteRecordingFile, { input: { fileId } });
        if (deleteRecordingFile.__typename !== 'DeleteRecordingFilePayload') throw refused(deleteRecordingFile);
      },
      async download(file, folder) {
        const response = await fetch(file.downloadUrl as string);
        if (!response.ok || !response.body) throw new Error(`the download answered ${response.status}`);
        const path = join(folder, file.name);
        await pipeline(Readable.fromWeb(response.body as never), createWriteStream(path));
        return path;
      },
      async finish(...states) {
        await stop();
        await until(...(states.length > 0 ? states : (['COMPLETE'] as const)));
        return files();
      },
      async events() {
        const events: JobEvent[] = [];
        for await (const event of followJob(tapedeck, (await run()).id)) events.push(event);
        return events;
      },
    };
  }

  return {
    tapedeck,
    close: () => tapedeck.close(),
    find,
    /** Makes a recording, and starts it unless `active` is false. Throws RefusedError. */
    async create(input: Omit<CreateRecordingInput, 'name'> & { name?: string }): Promise<TestRecording> {
      const { createRecording } = await tapedeck.request(CreateRecording, { input: { name: 'Test', ...input } });
      if (createRecording.__typename !== 'CreateRecordingPayload') throw refused(createRecording);
      return find(createRecording.recording.id);
    },
  };
}
export type RecordingKit = ReturnType<typeof createRecordingKit>;

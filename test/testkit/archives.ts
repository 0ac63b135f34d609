/** Archives as a client makes and follows them, with a look behind the scenes for tests that break things there. */
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { createTapedeck, type Tapedeck } from '../../examples/client/client.js';
import type { ArchiveQuery, JobState, StartArchiveInput } from '../../examples/client/gql/graphql.js';
import { followJob, type JobEvent } from '../../examples/client/job.js';
import {
  Archive,
  BeginArchive,
  CancelJob,
  PauseJob,
  ResumeJob,
  StartArchive,
  StopArchive,
} from '../../examples/client/operations.js';

type ArchiveFacts = NonNullable<ArchiveQuery['archive']>;

export interface TestArchive {
  /** Global id. */
  id: string;
  /** Id of the job's row and folder. */
  jobId: string;
  accessToken: string;
  facts(): Promise<ArchiveFacts>;
  /** Waits until the archive is in one of the states; throws when it ends in another. */
  until(...states: JobState[]): Promise<ArchiveFacts>;
  /** Waits until so much media has been recorded, all parts together. */
  recordedFor(ms: number): Promise<void>;
  /** Answers the archive's status, or the code of the error. */
  stop(requestId?: string): Promise<string>;
  /** These answer the state of the archive or job, or the code of the error. */
  cancel(requestId?: string): Promise<string>;
  begin(requestId?: string): Promise<string>;
  pause(requestId?: string): Promise<string>;
  resume(requestId?: string): Promise<string>;
  /** Follows the job from its first event to its end. */
  events(): Promise<JobEvent[]>;
  /** Downloads the result; answers where it lies. */
  download(folder: string): Promise<string>;
}

const pollMs = 100;
const finalStates: JobState[] = ['COMPLETE', 'PARTIAL', 'FAILED', 'EXPIRED', 'CANCELED'];

export function createArchiveKit({ url, apiKey }: { url: string; apiKey: string }) {
  const tapedeck: Tapedeck = createTapedeck({ url, apiKey, webSocket: WebSocket });

  /** An archive that was started before. */
  function find(id: string): Omit<TestArchive, 'accessToken'> {
    const facts = async () => {
      const { archive } = await tapedeck.request(Archive, { id });
      if (!archive) throw new Error('the archive is gone');
      return archive;
    };
    const until = async (...states: JobState[]) => {
      for (;;) {
        const now = await facts();
        if (states.includes(now.state)) return now;
        if (finalStates.includes(now.state)) throw new Error(`ended ${now.state}: ${now.reason} ${now.message}`);
        await sleep(pollMs);
      }
    };
    return {
      id,
      jobId: Buffer.from(id, 'base64').toString().split(':')[1] as string,
      facts,
      until,
      async recordedFor(ms) {
        for (;;) {
          const { state, duration } = await until('QUEUED', 'STARTING', 'STANDBY', 'RECORDING', 'RECONNECTING');
          if (state === 'RECORDING' && (duration ?? 0) * 1000 >= ms) return;
          await sleep(pollMs);
        }
      },
      async stop(requestId) {
        const { stopArchive } = await tapedeck.request(StopArchive, { input: { archiveId: id, requestId } });
        return stopArchive.__typename === 'StopArchivePayload' ? stopArchive.archive.status : stopArchive.code;
      },
      async begin(requestId) {
        const { beginArchive } = await tapedeck.request(BeginArchive, { input: { archiveId: id, requestId } });
        return beginArchive.__typename === 'BeginArchivePayload' ? beginArchive.archive.status : beginArchive.code;
      },
      async cancel(requestId) {
        const { cancelJob } = await tapedeck.request(CancelJob, { input: { jobId: id, requestId } });
        return cancelJob.__typename === 'CancelJobPayload' ? cancelJob.job.state : cancelJob.code;
      },
      async pause(requestId) {
        const { pauseJob } = await tapedeck.request(PauseJob, { input: { jobId: id, requestId } });
        return pauseJob.__typename === 'PauseJobPayload' ? pauseJob.job.state : pauseJob.code;
      },
      async resume(requestId) {
        const { resumeJob } = await tapedeck.request(ResumeJob, { input: { jobId: id, requestId } });
        return resumeJob.__typename === 'ResumeJobPayload' ? resumeJob.job.state : resumeJob.code;
      },
      async events() {
        const events: JobEvent[] = [];
        for await (const event of followJob(tapedeck, id)) events.push(event);
        return events;
      },
      async download(folder) {
        const { downloadUrl } = await facts();
        const response = await fetch(downloadUrl as string);
        if (!response.ok || !response.body) throw new Error(`the download answered ${response.status}`);
        const file = join(folder, 'result.mp4');
        await pipeline(Readable.fromWeb(response.body as never), createWriteStream(file));
        return file;
      },
    };
  }

  return {
    tapedeck,
    close: () => tapedeck.close(),
    find,
    /** Starts an archive of the built-in demo page, unless told otherwise. */
    async start(input: Partial<StartArchiveInput> = {}): Promise<TestArchive> {
      const { startArchive } = await tapedeck.request(StartArchive, { input: { url: `${url}/demo`, ...input } });
      if (startArchive.__typename !== 'StartArchivePayload')
        throw new Error(`not started: ${JSON.stringify(startArchive)}`);
      return { ...find(startArchive.archive.id), accessToken: startArchive.accessToken ?? '' };
    },
  };
}
export type ArchiveKit = ReturnType<typeof createArchiveKit>;

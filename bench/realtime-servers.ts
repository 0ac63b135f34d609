/** The servers of the realtime benchmark: each serves the same subscription, and publishes one event after the other when asked. */
import { appendJobEvent, createWake, eventsChannel } from '../src/events/outbox.js';
import { encodeId } from '../src/global-id.js';
import { createJobRow } from '../test/testkit/jobs.js';
import { startApiStack } from './api-stack.js';
import { startChild } from './child.js';
import { pace } from './pace.js';
import { fileName, type Peer } from './realtime-peer.js';
import type { Subscription } from './socket-clients.js';

export interface RealtimeServer {
  name: string;
  url: string;
  token: string;
  subscription: Subscription;
  pid: number;
  /** Of the database, where there is one. */
  postgresPid: number | null;
  /** Begins to publish at this many events a second. */
  publish(perSecond: number): Publishing;
  end(): Promise<void>;
}

export interface Publishing {
  /** Resolves with the number of the latest event. */
  stop(): Promise<number>;
}

const query = `subscription Follow($jobId: ID!) {
  jobEvents(jobId: $jobId) { __typename cursor sequence occurredAt ... on JobFileAdded { name } }
}`;

/** Tapedeck: its API process, which authorizes every socket, over Postgres, which every event is written to and read from. */
export async function startTapedeck(): Promise<RealtimeServer> {
  const stack = await startApiStack();
  const { db } = stack;
  const wake = createWake(db);
  const jobId = await createJobRow(db, stack.projectId);
  let sequence = 1;
  async function happen(): Promise<void> {
    await db.$transaction(async (transaction) => {
      const job = await transaction.job.update({ where: { id: jobId }, data: { eventSequence: { increment: 1 } } });
      sequence = job.eventSequence;
      const file = { fileId: jobId, name: fileName(sequence), kind: 'VIDEO' };
      await appendJobEvent(transaction, job, { type: 'JobFileAdded', ...file });
    });
    wake(eventsChannel);
  }
  return {
    name: 'Tapedeck',
    url: stack.socketUrl,
    token: stack.apiKey,
    subscription: { query, variables: { jobId: encodeId('Job', jobId) } },
    pid: stack.apiPid,
    postgresPid: stack.postgresPid,
    publish(perSecond) {
      const publishing = pace(perSecond, happen);
      return {
        async stop() {
          await publishing.stop();
          return sequence;
        },
      };
    },
    end: stack.stop,
  };
}

/** A peer in a process of its own; `module` calls `servePeer`. */
export async function startPeer(name: string, module: string): Promise<RealtimeServer> {
  const child = startChild<Peer>(module);
  try {
    const port = await child.ask('listen', null);
    return {
      name,
      url: `ws://127.0.0.1:${port}/graphql`,
      token: '',
      subscription: { query, variables: { jobId: encodeId('Job', '01900000-0000-7000-8000-000000000002') } },
      pid: child.pid,
      postgresPid: null,
      publish(perSecond) {
        const begun = child.ask('publish', { perSecond });
        begun.catch(() => {});
        return { stop: () => begun.then(() => child.ask('stop', null)) };
      },
      end: child.end,
    };
  } catch (error) {
    await child.end();
    throw error;
  }
}

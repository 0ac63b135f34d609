import { Webhook } from 'standardwebhooks';
import { v7 as uuid } from 'uuid';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { childEnvironment, loadConfig } from '../../src/config.js';
import { createDatabase, type Database } from '../../src/db.js';
import { createWake } from '../../src/events/outbox.js';
import { webhookWorkflowId } from '../../src/jobs/webhook-messages.js';
import { createTransitions, type Transitions } from '../../src/services/transitions.js';
import { createTemporalClient } from '../../src/temporal/client.js';
import { retentionMs } from '../../src/webhooks/retention.js';
import { isolatedConfig, temporaryDataFolder } from '../../stack/isolated.js';
import { type Stack, startStack } from '../../stack/stack.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { type Receiver, startReceiver } from '../testkit/receiver.js';

// A killed attempt is given up 25 s after it began, and the restart itself takes a few.
const patience = { timeout: 60_000, interval: 100 };

interface JobOfTest {
  jobId: string;
  receiver: Receiver;
}

describe('callbacks survive', () => {
  const folder = temporaryDataFolder();
  let stack: Stack;
  let db: Database;
  let transitions: Transitions;
  let client: ReturnType<typeof createTemporalClient>;
  let projectId: string;
  beforeAll(async () => {
    stack = await startStack({ config: isolatedConfig(folder.dataDir), services: ['jobs'], log: () => {} });
    db = createDatabase(stack.databaseUrl);
    const { databaseUrl: DATABASE_URL, temporalAddress: TEMPORAL_ADDRESS } = stack;
    const config = loadConfig(childEnvironment({ DATA_DIR: folder.dataDir, DATABASE_URL, TEMPORAL_ADDRESS }));
    transitions = createTransitions({ db, wake: createWake(db), config });
    client = createTemporalClient(config);
    projectId = await createProject(db);
  });
  afterAll(async () => {
    await client.connection.close();
    await db.$disconnect();
    await stack.stop();
    folder.remove();
  });

  /** A job whose first change of state is on its way to the receiver. */
  async function jobWith(receiver: Receiver): Promise<JobOfTest> {
    return { receiver, jobId: await createJobRow(db, projectId, 'QUEUED', { callbackUrl: receiver.url }) };
  }

  async function receiverOfTest(): Promise<Receiver> {
    const receiver = await startReceiver();
    onTestFinished(() => receiver.close());
    return receiver;
  }

  /** Lets attempts fail, until the next one is an hour away and the workflow waits for it. Answers how many there were. */
  async function failAndWait({ jobId, receiver }: JobOfTest): Promise<number> {
    await vi.waitFor(async () => {
      expect(await db.webhookAttempt.count({ where: { delivery: { jobId } } })).toBeGreaterThan(0);
      // Each time, since an attempt that was being made meanwhile has written its own.
      await setNextAttempt(jobId, 3_600_000);
      const { events } = await client.workflow.getHandle(webhookWorkflowId(jobId)).fetchHistory();
      const timer = events?.at(-1)?.timerStartedEventAttributes;
      expect(Number(timer?.startToFireTimeout?.seconds)).toBeGreaterThan(3_000);
    }, patience);
    return receiver.received.length;
  }

  const setNextAttempt = (jobId: string, inMs: number) =>
    db.webhookDelivery.updateMany({
      where: { jobId, state: 'PENDING' },
      data: { nextAttemptAt: new Date(Date.now() + inMs) },
    });

  /** Ends the job, and waits until everything of it was delivered: every change, in order and signed. */
  async function conclude({ jobId, receiver }: JobOfTest): Promise<void> {
    for (const to of ['STARTING', 'CANCELED'] as const) await transitions.transition({ jobId, to });
    await expect.poll(() => receiver.received.at(-1)?.callback.state, patience).toBe('CANCELED');
    const events = await db.event.findMany({
      where: { jobId, type: 'JobStateChanged' },
      orderBy: { jobSequence: 'asc' },
    });
    // A change that was answered after the kill may have come before it too.
    const sequences = receiver.received.map(({ callback }) => callback.seq);
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
    expect([...new Set(sequences)]).toEqual(events.map(({ jobSequence }) => jobSequence));
    const { secret } = await db.webhookSecret.findFirstOrThrow({ where: { projectId } });
    for (const { body, headers } of receiver.received) {
      expect(new Webhook(secret).verify(body, headers)).toMatchObject({ eventId: headers['webhook-id'] });
    }
    const delivered = () => db.webhookDelivery.count({ where: { jobId, state: 'DELIVERED' } });
    await expect.poll(delivered, patience).toBe(events.length);
  }

  // The life of three jobs, since it takes 25 s until the engine gives up an attempt that was killed.
  describe('a kill of the jobs worker', () => {
    const receivers: Receiver[] = [];
    let between: JobOfTest;
    let attemptsBefore: number;
    let amid: JobOfTest;
    let unattended: JobOfTest;
    beforeAll(async () => {
      for (let count = 0; count < 3; count++) receivers.push(await startReceiver());
      const [failing, hanging, fine] = receivers as [Receiver, Receiver, Receiver];
      failing.usually(500);
      between = await jobWith(failing);
      attemptsBefore = await failAndWait(between);
      hanging.reply('hang');
      amid = await jobWith(hanging);
      await vi.waitFor(() => expect(hanging.received).toHaveLength(1), patience);
      await stack.kill('jobs', 'SIGKILL');
      unattended = await jobWith(fine);
      failing.usually(200);
      await setNextAttempt(between.jobId, 0);
      await createOldDelivery();
      await stack.ready('jobs');
    }, 90_000);
    afterAll(() => Promise.all(receivers.map((receiver) => receiver.close())));

    /** Of a change that nobody asks for any more. */
    async function createOldDelivery(): Promise<void> {
      const jobId = await createJobRow(db, projectId, 'CANCELED');
      const data = { projectId, jobId, sequence: 1, url: 'http://127.0.0.1/', payload: {}, state: 'FAILED' as const };
      await db.webhookDelivery.create({ data: { ...data, id: uuid({ msecs: Date.now() - retentionMs - 1 }) } });
    }

    test('between two attempts, of which each is made once', async () => {
      await conclude(between);
      const expected = attemptsBefore + 3;
      expect(between.receiver.received).toHaveLength(expected);
      expect(await db.webhookAttempt.count({ where: { delivery: { jobId: between.jobId } } })).toBe(expected);
    }, 90_000);

    test('before a change, which nobody was there to deliver', async () => {
      await conclude(unattended);
      expect(unattended.receiver.received).toHaveLength(3);
    }, 90_000);

    test('and are removed after 30 days by the next one', async () => {
      const old = { state: 'FAILED' as const, attempts: { none: {} } };
      await expect.poll(() => db.webhookDelivery.count({ where: old }), patience).toBe(0);
    }, 90_000);

    test('in the middle of an attempt, which is made again', async () => {
      await conclude(amid);
      expect(amid.receiver.received).toHaveLength(4);
    }, 90_000);
  });

  test('the loss of their workflow, in the middle of a long wait', async () => {
    const receiver = await receiverOfTest();
    receiver.usually(500);
    const job = await jobWith(receiver);
    const attemptsBefore = await failAndWait(job);
    await client.workflow.getHandle(webhookWorkflowId(job.jobId)).terminate('a lost store');
    receiver.usually(200);
    await setNextAttempt(job.jobId, 0);
    await conclude(job);
    expect(receiver.received).toHaveLength(attemptsBefore + 3);
  }, 90_000);

  test.each(['temporal', 'postgres'] as const)(
    'a kill of %s',
    async (name) => {
      const receiver = await receiverOfTest();
      receiver.reply(500, 500);
      const job = await jobWith(receiver);
      await expect.poll(() => receiver.received.length, patience).toBeGreaterThan(0);
      await stack.kill(name, 'SIGKILL');
      await stack.ready(name);
      await conclude(job);
    },
    90_000,
  );

  test('a stop of the jobs worker in the middle of an attempt, which does not count', async () => {
    const receiver = await receiverOfTest();
    receiver.reply('hang');
    const job = await jobWith(receiver);
    await expect.poll(() => receiver.received.length, patience).toBe(1);
    await stack.kill('jobs', 'SIGTERM');
    await stack.ready('jobs');
    await conclude(job);
    const first = await db.webhookDelivery.findFirstOrThrow({
      where: { jobId: job.jobId, sequence: 1 },
      include: { attempts: { orderBy: { at: 'asc' } } },
    });
    expect(first.attemptCount).toBe(1);
    expect(first.attempts.map(({ detail }) => detail)).toEqual(['The service was stopped during the attempt.', 'ok']);
  }, 90_000);
});

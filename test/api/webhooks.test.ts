import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, inject, type TestContext, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { createJobToken } from '../../src/auth/tokens.js';
import { childEnvironment, loadConfig } from '../../src/config.js';
import { createDatabase, type Database } from '../../src/db.js';
import { createWake } from '../../src/events/outbox.js';
import type { JobState } from '../../src/jobs/states.js';
import { createTransitions } from '../../src/services/transitions.js';
import { impatientRetryPeriodMs, retryDelayMs, retryPeriodMs } from '../../src/webhooks/schedule.js';
import { type Api, api } from '../testkit/api.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { type Receiver, startReceiver } from '../testkit/receiver.js';

const patience = { timeout: 20_000, interval: 50 };

const logDocument = `query($filter: WebhookDeliveriesFilter) {
  webhookDeliveries(filter: $filter) {
    totalCount
    nodes {
      id eventId sequence url payload state attemptCount nextAttemptAt deliveredAt createdAt job { id }
      attempts { at duration responseStatus detail }
    }
  }
}`;
interface Delivery {
  id: string;
  eventId: string;
  sequence: number;
  url: string;
  payload: string;
  state: string;
  attemptCount: number;
  nextAttemptAt: string | null;
  deliveredAt: string | null;
  attempts: { at: string; duration: number; responseStatus: number | null; detail: string | null }[];
}

const redeliverDocument = `mutation($input: RedeliverWebhookInput!) {
  redeliverWebhook(input: $input) {
    ... on RedeliverWebhookPayload { delivery { state attemptCount } }
    ... on Error { code message }
  }
}`;
const rotateDocument = `mutation($input: RotateWebhookSecretInput!) {
  rotateWebhookSecret(input: $input) {
    ... on RotateWebhookSecretPayload { secret previousUntil }
    ... on Error { code message }
  }
}`;

describe.concurrent('callbacks', () => {
  const { databaseUrl, temporalAddress, dataDir } = inject('stack');
  let db: Database;
  let transitions: ReturnType<typeof createTransitions>;
  beforeAll(() => {
    db = createDatabase(databaseUrl);
    const config = loadConfig(
      childEnvironment({ DATA_DIR: dataDir, DATABASE_URL: databaseUrl, TEMPORAL_ADDRESS: temporalAddress }),
    );
    transitions = createTransitions({ db, wake: createWake(db), config });
  });
  afterAll(() => db.$disconnect());

  async function receiverOfTest(onTestFinished: TestContext['onTestFinished']): Promise<Receiver> {
    const receiver = await startReceiver();
    onTestFinished(() => receiver.close());
    return receiver;
  }

  /** A project with a key, and jobs that nothing records. */
  async function projectOfTest() {
    const projectId = await createProject(db);
    const client = api(await createKey(db, projectId));
    return {
      projectId,
      client,
      job: (url: string) => createJobRow(db, projectId, 'QUEUED', { callbackUrl: url }),
      rotate: async () => (await rotation(client)).secret,
      log: (filter: object = {}) => logOf(client, filter),
    };
  }

  async function logOf(client: Api, filter: object = {}): Promise<Delivery[]> {
    const answer = await client.get<{ webhookDeliveries: { totalCount: number; nodes: Delivery[] } }>(logDocument, {
      filter,
    });
    expect(answer.webhookDeliveries.totalCount).toBe(answer.webhookDeliveries.nodes.length);
    return answer.webhookDeliveries.nodes;
  }

  async function rotation(client: Api, input: object = {}): Promise<{ secret: string; previousUntil: string | null }> {
    const answer = await client.get<{ rotateWebhookSecret: { secret: string; previousUntil: string | null } }>(
      rotateDocument,
      { input },
    );
    return answer.rotateWebhookSecret;
  }

  /** Expects that a delivery whose change was two hours ago is tried again after it has failed. */
  async function expectPatience(expect: TestContext['expect'], jobId: string, sequence: number): Promise<void> {
    const where = { jobId, sequence };
    await db.webhookDelivery.updateMany({ where, data: { createdAt: new Date(Date.now() - 2 * 3_600_000) } });
    const look = () => db.webhookDelivery.findFirstOrThrow({ where });
    const { attemptCount } = await look();
    // An attempt that was being made meanwhile did not know of that yet.
    await expect.poll(async () => (await look()).attemptCount, patience).toBeGreaterThan(attemptCount + 1);
    expect(await look()).toMatchObject({ state: 'PENDING' });
  }

  async function redeliver(client: Api, deliveryId: string, requestId?: string) {
    const input = { deliveryId, requestId };
    const answer = await client.get<{ redeliverWebhook: { code?: string; delivery?: { state: string } } }>(
      redeliverDocument,
      { input },
    );
    return answer.redeliverWebhook;
  }

  /** As if the receiver of a job's first change had taken nothing since yesterday: it has one attempt left. */
  async function failedSinceYesterday(expect: TestContext['expect'], jobId: string): Promise<void> {
    const where = { jobId, sequence: 1 };
    const attempts = async () => (await db.webhookDelivery.findFirstOrThrow({ where })).attemptCount;
    await expect.poll(attempts, patience).toBeGreaterThan(0);
    await db.webhookDelivery.updateMany({ where, data: { attemptCount: 35 } });
  }

  async function pass(jobId: string, ...states: JobState[]): Promise<void> {
    for (const to of states) await transitions.transition({ jobId, to });
  }

  test('tell of every change of state once, in order, signed with the secret of the project', async ({
    expect,
    onTestFinished,
  }) => {
    const receiver = await receiverOfTest(onTestFinished);
    const { projectId, job, rotate, log } = await projectOfTest();
    const secret = await rotate();
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    const jobId = await job(receiver.url);
    await pass(jobId, 'STARTING', 'RECORDING', 'STOPPING', 'FINALIZING', 'COMPLETE');
    await expect.poll(() => receiver.received.length, patience).toBe(6);
    const events = await db.event.findMany({ where: { jobId }, orderBy: { jobSequence: 'asc' } });
    const verified = receiver.received.map(({ body, headers }) => new Webhook(secret).verify(body, headers));
    expect(verified).toEqual(
      events.map(({ payload, occurredAt }, index) =>
        expect.objectContaining({
          ...(payload as object),
          type: 'job.state_changed',
          eventId: `evt_${jobId}_${index + 1}`,
          jobId: encodeId('Job', jobId),
          projectId: encodeId('Project', projectId),
          kind: 'ARCHIVE',
          seq: index + 1,
          status: ['queued', 'queued', 'recording', 'stopped', 'stopped', 'complete'][index],
          progress: index === 5 ? 100 : 0,
          occurredAt: occurredAt.toISOString(),
        }),
      ),
    );
    expect(receiver.received.map(({ headers }) => headers['webhook-id'])).toEqual(
      verified.map((callback) => (callback as { eventId: string }).eventId),
    );
    await expect.poll(() => log({ state: 'PENDING' }), patience).toEqual([]);
    const deliveries = await log({ jobId: encodeId('Job', jobId), state: 'DELIVERED' });
    expect(deliveries.map(({ sequence }) => sequence)).toEqual([6, 5, 4, 3, 2, 1]);
    expect(deliveries.map(({ payload }) => payload).reverse()).toEqual(receiver.received.map(({ body }) => body));
    expect(deliveries[0]).toMatchObject({
      url: receiver.url,
      attemptCount: 1,
      nextAttemptAt: null,
      deliveredAt: expect.any(String),
      job: { id: encodeId('Job', jobId) },
      attempts: [{ responseStatus: 200, detail: 'ok' }],
    });
  });

  test('are asked for with an archive, and tell the same story as its events', async ({ expect, onTestFinished }) => {
    const receiver = await receiverOfTest(onTestFinished);
    const { client } = await projectOfTest();
    const { startArchive } = await client.get<{
      startArchive: { archive: { id: string; job: { id: string } } };
    }>(
      `mutation($input: StartArchiveInput!) {
        startArchive(input: $input) { ... on StartArchivePayload { archive { id job { id } } } ... on Error { message } }
      }`,
      { input: { url: `${client.url}/demo`, name: 'One', callbackUrl: receiver.url } },
    );
    const { id } = startArchive.archive.job;
    await client.get('mutation($id: ID!) { cancelJob(input: { jobId: $id }) { __typename } }', { id });
    await expect.poll(() => receiver.received.at(-1)?.callback.status, patience).toBe('canceled');
    const jobId = Buffer.from(id, 'base64url').toString().slice('Job:'.length);
    const events = await db.event.findMany({
      where: { jobId, type: 'JobStateChanged' },
      orderBy: { jobSequence: 'asc' },
    });
    expect(receiver.received.map(({ callback }) => [callback.seq, callback.state])).toEqual(
      events.map(({ jobSequence, payload }) => [jobSequence, (payload as { state: string }).state]),
    );
    expect(receiver.received[0]?.callback).toMatchObject({
      jobId: id,
      archiveId: startArchive.archive.id,
      name: 'One',
    });
  });

  test('are tried again after a failure, each attempt in the log and all with the same event id', async ({
    expect,
    onTestFinished,
  }) => {
    const receiver = await receiverOfTest(onTestFinished);
    const { job, log } = await projectOfTest();
    receiver.reply(500, 503);
    const jobId = await job(receiver.url);
    await pass(jobId, 'CANCELED');
    await expect.poll(() => receiver.received.length, patience).toBe(4);
    expect(receiver.received.map(({ callback }) => callback.seq)).toEqual([1, 1, 1, 2]);
    const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
    expect(new Set(ids.slice(0, 3)).size).toBe(1);
    expect(new Set(receiver.received.slice(0, 3).map(({ body }) => body)).size).toBe(1);
    await expect.poll(async () => (await log())[0]?.state, patience).toBe('DELIVERED');
    const [, first] = (await log()) as [Delivery, Delivery];
    expect(first).toMatchObject({ state: 'DELIVERED', attemptCount: 3, eventId: ids[0] });
    expect(first.attempts.map(({ responseStatus, detail }) => [responseStatus, detail])).toEqual([
      [200, 'ok'],
      [503, 'this is 503'],
      [500, 'this is 500'],
    ]);
    const [third, second, one] = first.attempts.map(({ at }) => Date.parse(at)) as [number, number, number];
    expect(second - one).toBeGreaterThanOrEqual(1_000);
    expect(third - second).toBeGreaterThanOrEqual(2_000);
  });

  test('to a receiver that never answers are cut off after 15 seconds', async ({ expect, onTestFinished }) => {
    const [silent, endless] = [await receiverOfTest(onTestFinished), await receiverOfTest(onTestFinished)];
    const { job, log } = await projectOfTest();
    silent.reply('hang');
    endless.reply('endless');
    await job(silent.url);
    await job(endless.url);
    await expect.poll(() => log({ state: 'PENDING' }), { timeout: 40_000, interval: 500 }).toEqual([]);
    const [ofEndless, ofSilent] = (await log()) as [Delivery, Delivery];
    // A status is an answer, whatever becomes of the rest.
    // On a busy machine the body may not have been read when the time was over.
    const detail = expect.toBeOneOf(['I am still', null]);
    expect(ofEndless.attempts).toMatchObject([{ responseStatus: 200, detail }]);
    expect(ofSilent.attempts).toMatchObject([
      { responseStatus: 200 },
      { responseStatus: null, detail: 'there was no answer in time' },
    ]);
    for (const attempt of [ofEndless.attempts[0], ofSilent.attempts[1]]) {
      expect(attempt?.duration).toBeGreaterThanOrEqual(14.9);
    }
  });

  test('follow no redirect', async ({ expect, onTestFinished }) => {
    const [receiver, elsewhere] = [await receiverOfTest(onTestFinished), await receiverOfTest(onTestFinished)];
    const { job, log } = await projectOfTest();
    receiver.reply({ redirectTo: elsewhere.url });
    await job(receiver.url);
    await expect.poll(async () => (await log())[0]?.state, patience).toBe('DELIVERED');
    expect(elsewhere.received).toEqual([]);
    const [{ attempts }] = (await log()) as [Delivery];
    expect(attempts[1]).toMatchObject({ responseStatus: 302, detail: expect.stringContaining(elsewhere.url) });
  });

  test('are given up at once when the receiver says 410, and the next one has its turn', async ({
    expect,
    onTestFinished,
  }) => {
    const receiver = await receiverOfTest(onTestFinished);
    const { job, log } = await projectOfTest();
    receiver.reply(410);
    receiver.usually(500);
    const jobId = await job(receiver.url);
    await pass(jobId, 'CANCELED');
    await expect.poll(async () => (await log()).map(({ state }) => state), patience).toEqual(['PENDING', 'FAILED']);
    await expectPatience(expect, jobId, 2);
    receiver.usually(200);
    await expect.poll(async () => (await log()).map(({ state }) => state), patience).toEqual(['DELIVERED', 'FAILED']);
    expect(receiver.received.filter(({ callback }) => callback.seq === 1)).toHaveLength(1);
  });

  test('are given up after 24 hours of attempts, and the next one has its turn', async ({ expect, onTestFinished }) => {
    const receiver = await receiverOfTest(onTestFinished);
    const { job, log } = await projectOfTest();
    receiver.usually(500);
    const jobId = await job(receiver.url);
    await pass(jobId, 'CANCELED');
    await failedSinceYesterday(expect, jobId);
    await expect.poll(async () => (await log())[1]?.state, patience).toBe('FAILED');
    receiver.usually(200);
    await expect.poll(async () => (await log()).map(({ state }) => state), patience).toEqual(['DELIVERED', 'FAILED']);
    expect((await log())[1]).toMatchObject({ attemptCount: 36, nextAttemptAt: null });
  });

  test('behind one that was given up after a day have an hour from their change, until one is delivered', async ({
    expect,
    onTestFinished,
  }) => {
    const receiver = await receiverOfTest(onTestFinished);
    const { job } = await projectOfTest();
    receiver.usually(500);
    const jobId = await job(receiver.url);
    await pass(jobId, 'STARTING', 'RECORDING', 'STOPPING');
    await db.webhookDelivery.updateMany({
      where: { jobId, sequence: { in: [2, 3] } },
      data: { createdAt: new Date(Date.now() - 2 * 3_600_000) },
    });
    await failedSinceYesterday(expect, jobId);
    const rows = () => db.webhookDelivery.findMany({ where: { jobId }, orderBy: { sequence: 'asc' } });
    const states = async () => (await rows()).map(({ state }) => state);
    await expect.poll(states, patience).toEqual(['FAILED', 'FAILED', 'FAILED', 'PENDING']);
    // The change of just now is tried for a while.
    await expect.poll(async () => (await rows()).at(-1)?.attemptCount, patience).toBeGreaterThan(1);
    expect((await rows()).map(({ attemptCount }) => attemptCount).slice(0, 3)).toEqual([36, 1, 1]);
    receiver.usually(200);
    await expect.poll(async () => (await states()).at(-1), patience).toBe('DELIVERED');
    receiver.usually(500);
    await pass(jobId, 'FINALIZING');
    await expectPatience(expect, jobId, 5);
  });

  test('wait an hour at most behind one that was given up, counted from their change', () => {
    const delays = (periodMs: number) => {
      const all: number[] = [];
      for (let delay = retryDelayMs(1, periodMs); delay !== null; delay = retryDelayMs(all.length + 1, periodMs)) {
        all.push(delay);
      }
      return all;
    };
    expect(delays(impatientRetryPeriodMs(0)).reduce((sum, delay) => sum + delay, 0)).toBe(3_600_000);
    expect(delays(impatientRetryPeriodMs(3_590_000))).toEqual([1_000, 2_000, 4_000, 3_000]);
    expect(delays(impatientRetryPeriodMs(3_600_000))).toEqual([]);
    expect(delays(impatientRetryPeriodMs(99_999_999))).toEqual([]);
  });

  test('wait longer and longer, an hour at most, 24 hours together', () => {
    const delays: number[] = [];
    for (let delay = retryDelayMs(1); delay !== null; delay = retryDelayMs(delays.length + 1)) delays.push(delay);
    expect(delays.slice(0, 4)).toEqual([1_000, 2_000, 4_000, 8_000]);
    expect(Math.max(...delays)).toBe(3_600_000);
    expect(delays.reduce((sum, delay) => sum + delay, 0)).toBe(retryPeriodMs);
    expect(delays).toHaveLength(35);
  });

  test.each([
    ['a private address', 'http://10.0.0.1/hook', 'URL_REFUSED', 'private address'],
    ['a metadata service', 'http://169.254.169.254/latest', 'URL_REFUSED', 'metadata'],
    ['our own database', databaseUrl.replace(/^.*@([^/]+).*$/, 'http://$1/'), 'URL_REFUSED', 'belongs to the service'],
    ['another scheme', 'ftp://example.org/hook', 'URL_REFUSED', 'scheme'],
    ['a password', 'https://user:secret@example.org/hook', 'URL_REFUSED', 'password'],
    ['more than 2,048 characters', `https://example.org/${'x'.repeat(2048)}`, 'VALIDATION_FAILED', 'callbackUrl'],
    ['nothing', '', 'VALIDATION_FAILED', 'callbackUrl'],
  ])('are not taken for %s', async (_what, callbackUrl, code, words) => {
    const { client } = await projectOfTest();
    const { startArchive } = await client.get<{ startArchive: { code: string; message: string } }>(
      'mutation($input: StartArchiveInput!) { startArchive(input: $input) { ... on Error { code message } } }',
      { input: { url: `${client.url}/demo`, callbackUrl } },
    );
    expect(startArchive.code).toBe(code);
    expect(startArchive.message).toContain(words);
  });

  test('to a private address are refused at the connection too, and tried again', async ({ expect }) => {
    const { job, log } = await projectOfTest();
    // As if its network had been taken from ALLOWED_NETWORKS since it was given.
    await job('http://10.0.0.1/hook');
    await expect.poll(async () => (await log())[0]?.attemptCount, patience).toBeGreaterThan(0);
    const [delivery] = (await log()) as [Delivery];
    expect(delivery).toMatchObject({ state: 'PENDING', nextAttemptAt: expect.any(String) });
    expect(delivery.attempts[0]).toMatchObject({
      responseStatus: null,
      detail: expect.stringContaining('private address'),
    });
  });

  test('are signed with both secrets for a day after a change', async ({ expect, onTestFinished }) => {
    const receiver = await receiverOfTest(onTestFinished);
    const { projectId, client, job, rotate } = await projectOfTest();
    const [old, fresh] = [await rotate(), await rotate()];
    const jobId = await job(receiver.url);
    await expect.poll(() => receiver.received.length, patience).toBe(1);
    const { body, headers } = receiver.received[0] as Receiver['received'][number];
    expect(headers['webhook-signature']?.split(' ')).toHaveLength(2);
    for (const secret of [old, fresh]) expect(new Webhook(secret).verify(body, headers)).toBeTruthy();
    await db.webhookSecret.updateMany({
      where: { projectId, expiresAt: { not: null } },
      data: { expiresAt: new Date(Date.now() - 1_000) },
    });
    await pass(jobId, 'CANCELED');
    await expect.poll(() => receiver.received.length, patience).toBe(2);
    const second = receiver.received[1] as Receiver['received'][number];
    expect(new Webhook(fresh).verify(second.body, second.headers)).toBeTruthy();
    expect(() => new Webhook(old).verify(second.body, second.headers)).toThrow('No matching signature');
    const again = () => client.get(rotateDocument, { input: { requestId: 'once' } });
    expect(await again()).toMatchObject({ rotateWebhookSecret: { secret: expect.any(String) } });
    expect(await again()).toEqual({ rotateWebhookSecret: { secret: null, previousUntil: null } });
  });

  test('are signed with the new secret alone when those before it are revoked', async ({ expect, onTestFinished }) => {
    const receiver = await receiverOfTest(onTestFinished);
    const { client, job, rotate } = await projectOfTest();
    const leaked = [await rotate(), await rotate()];
    const { secret, previousUntil } = await rotation(client, { revokePrevious: true });
    expect(previousUntil).toBeNull();
    await job(receiver.url);
    await expect.poll(() => receiver.received.length, patience).toBe(1);
    const { body, headers } = receiver.received[0] as Receiver['received'][number];
    expect(headers['webhook-signature']?.split(' ')).toHaveLength(1);
    expect(new Webhook(secret).verify(body, headers)).toBeTruthy();
    for (const old of leaked) expect(() => new Webhook(old).verify(body, headers)).toThrow('No matching signature');
  });

  test('are sent again on request, with the same event id and body, once for a request id', async ({
    expect,
    onTestFinished,
  }) => {
    const receiver = await receiverOfTest(onTestFinished);
    const { client, job, log } = await projectOfTest();
    const jobId = await job(receiver.url);
    await pass(jobId, 'CANCELED');
    await expect.poll(async () => (await log({ state: 'DELIVERED' })).length, patience).toBe(2);
    const { id } = (await log())[1] as Delivery;
    expect(await redeliver(client, id, 'once')).toMatchObject({ delivery: { attemptCount: expect.any(Number) } });
    await expect.poll(() => receiver.received.length, patience).toBe(3);
    const [first, , again] = receiver.received as [Receiver['received'][number], unknown, Receiver['received'][number]];
    expect(again.body).toBe(first.body);
    expect(again.headers['webhook-id']).toBe(first.headers['webhook-id']);
    await expect.poll(() => log({ state: 'PENDING' }), patience).toEqual([]);
    expect(await redeliver(client, id, 'once')).toMatchObject({ delivery: { state: 'DELIVERED' } });
    expect((await log())[1]?.attempts).toHaveLength(2);
    expect(receiver.received).toHaveLength(3);
  });

  test('that wait for their next attempt are tried at once on request', async ({ expect, onTestFinished }) => {
    const receiver = await receiverOfTest(onTestFinished);
    const { client, job, log } = await projectOfTest();
    receiver.reply(500);
    const jobId = await job(receiver.url);
    await expect.poll(async () => (await log())[0]?.attemptCount, patience).toBe(1);
    const inAnHour = new Date(Date.now() + 3_600_000);
    await db.webhookDelivery.updateMany({ where: { jobId, state: 'PENDING' }, data: { nextAttemptAt: inAnHour } });
    const { id } = (await log())[0] as Delivery;
    expect(await redeliver(client, id)).toMatchObject({ delivery: { state: expect.any(String) } });
    await expect.poll(async () => (await log())[0]?.state, patience).toBe('DELIVERED');
    expect(receiver.received).toHaveLength(2);
  });

  test("show to nobody but their project, and to a job's own token only that job's", async ({
    expect,
    onTestFinished,
  }) => {
    const receiver = await receiverOfTest(onTestFinished);
    const [mine, other] = [await projectOfTest(), await projectOfTest()];
    const [jobId, second] = [await mine.job(receiver.url), await mine.job(receiver.url)];
    const ids = (await mine.log()).map(({ id }) => id);
    expect(ids).toHaveLength(2);
    expect(await other.log()).toEqual([]);
    expect(await other.log({ jobId: encodeId('Job', jobId) })).toEqual([]);
    expect(await mine.log({ jobId: 'nonsense' })).toEqual([]);
    const nodes = 'query($ids: [ID!]!) { nodes(ids: $ids) { id } }';
    expect(await other.client.get(nodes, { ids })).toEqual({ nodes: [null, null] });
    expect(await mine.client.get(nodes, { ids })).toEqual({ nodes: ids.map((id) => ({ id })) });
    expect(await redeliver(other.client, ids[0] as string)).toMatchObject({ code: 'NOT_FOUND' });

    const { token, hash } = createJobToken(jobId);
    await db.job.update({ where: { id: jobId }, data: { accessTokenHash: hash } });
    const holder = api(token);
    const seen = await logOf(holder);
    expect(seen.map(({ eventId }) => eventId)).toEqual([`evt_${jobId}_1`]);
    expect(await logOf(holder, { jobId: encodeId('Job', second) })).toEqual([]);
    const theirs = ids.find((id) => id !== seen[0]?.id) as string;
    expect(await redeliver(holder, theirs)).toMatchObject({ code: 'NOT_FOUND' });
    const { errors } = await holder.send(rotateDocument, { input: {} });
    expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  });
});

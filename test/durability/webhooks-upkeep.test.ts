import type { Client } from '@temporalio/client';
import { v7 as uuid } from 'uuid';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Database } from '../../src/db.js';
import type { WebhookState } from '../../src/generated/prisma/client.js';
import { webhookWorkflowId } from '../../src/jobs/webhook-messages.js';
import { createDispatcher } from '../../src/webhooks/dispatch.js';
import { removeOldDeliveries } from '../../src/webhooks/retention.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { createJobRow, createProject } from '../testkit/jobs.js';

const dayMs = 24 * 3_600_000;
const url = 'http://127.0.0.1:1/hook';

describe('the upkeep of callbacks', () => {
  let own: OwnDatabase;
  let db: Database;
  let projectId: string;
  beforeAll(async () => {
    own = await ownDatabase();
    db = own.db;
    projectId = await createProject(db);
  });
  afterAll(() => own.remove());
  beforeEach(async () => {
    await db.webhookAttempt.deleteMany();
    await db.webhookDelivery.deleteMany();
  });

  describe('waking their workflows', () => {
    /** A dispatcher with an engine that refuses the signals of one workflow; the ids of those it was asked to signal. */
    function dispatcherOfTest(refusedJob?: string) {
      const asked: string[] = [];
      const signalWithStart = async (_type: string, { workflowId }: { workflowId: string }) => {
        asked.push(workflowId);
        if (refusedJob && workflowId === webhookWorkflowId(refusedJob)) throw new Error('too many signals');
      };
      const withDeadline = (_deadline: number, task: () => Promise<void>) => task();
      const client = { workflow: { signalWithStart }, withDeadline } as unknown as Client;
      const stopping = new AbortController();
      return { asked, stopping, dispatch: createDispatcher({ db, client, stopping: stopping.signal }) };
    }

    test('one that cannot be woken keeps no other from it, is reported, and is tried again', async () => {
      const jobs: string[] = [];
      for (let count = 0; count < 45; count++)
        jobs.push(await createJobRow(db, projectId, 'QUEUED', { callbackUrl: url }));
      const [oldest] = jobs as [string];
      const { asked, dispatch } = dispatcherOfTest(oldest);
      await expect(dispatch()).rejects.toThrow('too many signals');
      expect(asked.sort()).toEqual(jobs.map(webhookWorkflowId).sort());
      asked.length = 0;
      await expect(dispatch()).rejects.toThrow('too many signals');
      expect(asked).toEqual([webhookWorkflowId(oldest)]);
    });

    test('one that does not react is reminded less and less often, of a new attempt at once', async () => {
      const jobId = await createJobRow(db, projectId, 'QUEUED', { callbackUrl: url });
      const { asked, dispatch } = dispatcherOfTest();
      vi.useFakeTimers({ toFake: ['Date'] });
      onTestFinished(() => void vi.useRealTimers());
      const start = Date.now();
      const wokenAtS: number[] = [];
      for (let second = 0; second <= 2_200; second += 10) {
        vi.setSystemTime(start + second * 1_000);
        await dispatch();
        if (asked.length > wokenAtS.length) wokenAtS.push(second);
      }
      expect(wokenAtS).toEqual([0, 30, 90, 210, 450, 930, 1_530, 2_130]);
      await db.webhookDelivery.updateMany({ where: { jobId }, data: { attemptCount: 1 } });
      await dispatch();
      expect(asked).toHaveLength(wokenAtS.length + 1);
    });

    test('ends when the worker is stopped', async () => {
      await createJobRow(db, projectId, 'QUEUED', { callbackUrl: url });
      const { asked, stopping, dispatch } = dispatcherOfTest();
      stopping.abort();
      await dispatch();
      expect(asked).toEqual([]);
    });
  });

  describe('removing old ones', () => {
    /** A delivery of a change that many days ago, with one attempt that many days ago. */
    async function delivery(
      state: WebhookState,
      changedDaysAgo: number,
      triedDaysAgo = changedDaysAgo,
    ): Promise<string> {
      const id = uuid({ msecs: Date.now() - changedDaysAgo * dayMs });
      const jobId = await createJobRow(db, projectId);
      await db.webhookDelivery.create({ data: { id, projectId, jobId, sequence: 1, url, payload: {}, state } });
      const at = new Date(Date.now() - triedDaysAgo * dayMs);
      await db.webhookAttempt.create({ data: { id: uuid(), deliveryId: id, at, durationMs: 1 } });
      return id;
    }

    test('removes what ended 30 days ago with its attempts, and keeps what is pending or was sent again since', async () => {
      await delivery('DELIVERED', 31);
      await delivery('FAILED', 32, 31);
      const kept = [
        await delivery('PENDING', 40),
        await delivery('FAILED', 31, 29.9),
        await delivery('DELIVERED', 29.9),
      ];
      expect(await removeOldDeliveries(db)).toBe(2);
      const left = await db.webhookDelivery.findMany({ orderBy: { id: 'asc' }, include: { attempts: true } });
      expect(left.map(({ id, attempts }) => [id, attempts.length])).toEqual(kept.map((id) => [id, 1]));
      expect(await db.webhookAttempt.count()).toBe(3);
    });

    test('takes 500 at a time, the oldest first', async () => {
      const jobId = await createJobRow(db, projectId);
      const data = Array.from({ length: 501 }, (_, index) => ({
        id: uuid({ msecs: Date.now() - 60 * dayMs + index }),
        ...{ projectId, jobId, sequence: index + 1, url, payload: {}, state: 'DELIVERED' as const },
      }));
      await db.webhookDelivery.createMany({ data });
      expect(await removeOldDeliveries(db)).toBe(500);
      expect(await db.webhookDelivery.findMany({ select: { sequence: true } })).toEqual([{ sequence: 501 }]);
      expect(await removeOldDeliveries(db)).toBe(1);
      expect(await removeOldDeliveries(db)).toBe(0);
    });
  });
});

import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { allScopes, type Viewer } from '../../src/auth/viewer.js';
import { type Config, childEnvironment, loadConfig } from '../../src/config.js';
import { createDatabase, type Database } from '../../src/db.js';
import type { JobEventPayload } from '../../src/jobs/events.js';
import { isGranted, isTerminal, type JobRequest, type JobState, jobStates, requests } from '../../src/jobs/states.js';
import { InvalidStateError } from '../../src/services/errors.js';
import { createJobs } from '../../src/services/jobs.js';
import { createEngine, createTemporalClient } from '../../src/temporal/client.js';
import { createJobRow, createProject } from '../testkit/jobs.js';

const names = Object.keys(requests) as JobRequest[];
const granted = jobStates.flatMap((state) =>
  names.filter((name) => isGranted(name, state)).map((name) => ({ name, state })),
);

/** What a granted request writes first. */
const writes: Record<JobRequest, JobState | 'JobBegun'> = {
  stop: 'STOPPING',
  cancel: 'CANCELED',
  begin: 'JobBegun',
  pause: 'PAUSED',
  resume: 'RECONNECTING',
};

/** What is asked of a job afterwards so that it ends. */
const endedBy: Partial<Record<JobRequest, JobRequest>> = { begin: 'cancel', pause: 'stop', resume: 'stop' };

describe('a job', () => {
  let db: Database;
  let config: Config;
  let client: ReturnType<typeof createTemporalClient>;
  beforeAll(() => {
    const { databaseUrl, temporalAddress } = inject('stack');
    db = createDatabase(databaseUrl);
    config = loadConfig(childEnvironment({ TEMPORAL_ADDRESS: temporalAddress }));
    client = createTemporalClient(config);
  });
  afterAll(async () => {
    await client.connection.close();
    await db.$disconnect();
  });

  async function jobIn(state: JobState) {
    const projectId = await createProject(db);
    const jobId = await createJobRow(db, projectId, state);
    const viewer: Viewer = { kind: 'key', keyId: jobId, projectId, scopes: allScopes };
    const jobs = createJobs({ db, config, engine: createEngine(client) });
    return { jobId, ask: (request: JobRequest) => jobs.request(request, jobId, viewer) };
  }

  test.each(jobStates)('%s refuses what its state does not allow, names it, and stays as it is', async (state) => {
    const { jobId, ask } = await jobIn(state);
    for (const request of names.filter((name) => !isGranted(name, state))) {
      const refusal = await ask(request).catch((error: unknown) => error);
      expect(refusal, request).toBeInstanceOf(InvalidStateError);
      expect((refusal as InvalidStateError).state).toBe(state);
    }
    const row = await db.job.findUniqueOrThrow({ where: { id: jobId } });
    expect({ state: row.state, sequence: row.eventSequence }).toEqual({ state, sequence: 1 });
  });

  // Its workflow is missing, as after the loss of Temporal's store, and is started for the request; no machine is known.
  test.each(granted)('$state grants $name, and ends', async ({ name, state }) => {
    const { jobId, ask } = await jobIn(state);
    const now = new Date();
    const startedAt = recorded(state) ? now : null;
    await db.job.update({
      where: { id: jobId },
      data: { autostart: state !== 'STANDBY', startedAt, stateSince: now },
    });
    const { sequence } = await ask(name);
    const event = await db.event.findFirstOrThrow({ where: { jobId, jobSequence: sequence } });
    const payload = event.payload as unknown as JobEventPayload;
    expect(payload.type === 'JobStateChanged' ? payload.state : payload.type).toBe(writes[name]);
    const then = endedBy[name];
    if (then) await ask(then);
    const stateNow = async () => (await db.job.findUniqueOrThrow({ where: { id: jobId } })).state;
    await expect.poll(stateNow, { timeout: 60_000 }).toSatisfy(isTerminal);
  });
});

const recorded = (state: JobState) => ['RECORDING', 'RECONNECTING', 'PAUSED'].includes(state);

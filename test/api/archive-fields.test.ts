import { afterAll, expect, inject, test } from 'vitest';
import { createDatabase } from '../../src/db.js';
import { api } from '../testkit/api.js';
import { createArchiveKit } from '../testkit/archives.js';

const kit = createArchiveKit(inject('stack'));
const db = createDatabase(inject('stack').databaseUrl, 2);
afterAll(async () => {
  await kit.close();
  await db.$disconnect();
});

const asked = 'autostart launchTime callbackUrl warnings { code message raisedAt clearedAt }';
interface Asked {
  archive: { job: object };
}

test('an archive says what was asked for and what was wrong with it, in the words of its job', async () => {
  const launchTime = new Date(Date.now() + 3_600_000).toISOString();
  const callbackUrl = 'http://127.0.0.1:4/callback';
  const archive = await kit.start({ autostart: false, launchTime, callbackUrl });
  const { projectId } = await db.job.findUniqueOrThrow({ where: { id: archive.jobId } });
  const raisedAt = new Date();
  const warnings = ['FROZEN_PAGE', 'BLACK_PICTURE'].map((code, index) => ({
    ...{ jobId: archive.jobId, projectId, code, message: 'It is so.' },
    raisedAt: new Date(raisedAt.getTime() - index * 1_000),
  }));
  await db.jobWarning.createMany({ data: warnings });
  const { archive: found } = await api().get<Asked>(
    `query ($id: ID!) { archive(id: $id) { ${asked} job { ${asked} } } }`,
    {
      id: archive.id,
    },
  );
  const { job, ...own } = found;
  expect(own).toEqual(job);
  expect(own).toMatchObject({
    ...{ autostart: false, launchTime, callbackUrl },
    warnings: [{ code: 'BLACK_PICTURE' }, { code: 'FROZEN_PAGE', raisedAt: raisedAt.toISOString(), clearedAt: null }],
  });
  await archive.cancel();
});

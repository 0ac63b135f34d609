/**
 * `node --import tsx scripts/save-history.ts JOB_UUID NAME`: keeps what Temporal wrote of a job's workflow as a replay
 * fixture in test/histories. Fixtures of released versions are never made again: they prove that open jobs survive an update.
 */
import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { loadConfig } from '../src/config.js';
import { jobWorkflowId } from '../src/jobs/messages.js';
import { createTemporalClient } from '../src/temporal/client.js';

const [jobId, name] = process.argv.slice(2);
if (!jobId || !name) throw new Error('Usage: save-history.ts JOB_UUID NAME');
const client = createTemporalClient(loadConfig());
const history = await client.workflow.getHandle(jobWorkflowId(jobId)).fetchHistory();
/** Where and by whom it was recorded does not matter to a replay. */
const neutral = (key: string, value: unknown) => {
  if (key === 'identity' || key === 'stackTrace') return '';
  if (key === 'name' && typeof value === 'string' && value.includes(hostname())) return 'sticky';
  return value;
};
const events = JSON.parse(historyToJSON(history), neutral);
writeFileSync(new URL(`../test/histories/${name}.json`, import.meta.url), `${JSON.stringify(events, null, 1)}\n`);
await client.connection.close();

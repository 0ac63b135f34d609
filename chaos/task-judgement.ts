/** What must hold of tasks after a storm: each is there once, ended as its story says, and so is each set of files. */
import { readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { JobReason } from '../src/jobs/reasons.js';
import type { JobState } from '../src/jobs/states.js';
import { taskReason, taskState } from '../src/jobs/task-state.js';
import { probe } from '../worker/ffmpeg/probe.js';
import type { Bed } from './bed.js';
import { eventually } from './patience.js';
import type { Played, Story } from './task-story.js';

const settleLimitMs = 30_000;
/** What was written into a file, and what is read from it. */
const lengthToleranceMs = 100;
const mediaKinds = ['VIDEO', 'SEGMENTS'];

interface Step {
  state: JobState;
  reason: JobReason | null;
  at: number;
}

/** `isHit`: whether a host of it was killed. Answers what is wrong, in sentences. */
export async function judgeTask(bed: Bed, played: Played, isHit: boolean): Promise<string[]> {
  const { story, task } = played;
  const complaints: string[] = [];
  const complain = (about: string) => complaints.push(`task ${task.jobId} (${story.requestId}): ${about}`);
  const rows = await bed.db.task.findMany({ where: { requestId: story.requestId } });
  if (rows.length !== 1) complain(`there are ${rows.length} tasks of its request`);
  const requests = await bed.db.request.findMany({
    where: { operation: 'startTask', requestId: story.requestId },
  });
  if (requests.length !== 1 || requests[0]?.resultId !== task.jobId)
    complain(`its request is kept as that of ${requests.map(({ resultId }) => resultId).join(', ') || 'none'}`);

  const job = await bed.db.job.findUniqueOrThrow({
    where: { id: task.jobId },
    include: { task: true, parts: true, files: true },
  });
  const events = await bed.db.event.findMany({
    where: { jobId: task.jobId, type: 'JobStateChanged' },
    orderBy: { jobSequence: 'asc' },
  });
  const steps = events.map(({ payload, occurredAt }): Step => {
    const { state, reason } = payload as unknown as Step;
    return { state, reason, at: occurredAt.getTime() };
  });
  const wasAsked = played.stop === 'ENQUEUED';
  if ((job.task?.stopRequestedAt != null) !== wasAsked)
    complain(`its stop was answered ${played.stop}, and is ${wasAsked ? 'not ' : ''}written down`);
  const wasLost =
    isHit ||
    steps.some(({ reason }) => reason === 'MACHINE_LOST') ||
    job.parts.some(({ endCause }) => endCause === 'HOST_DIED' || endCause === 'MACHINE_LOST');
  const reason = job.reason as JobReason | null;
  const wrong = wrongEnd(
    { state: job.state, reason },
    { story, steps, wasAsked, wasLost, waitsMs: bed.taskQueueTimeoutMs },
  );
  if (wrong) complain(`${wrong}; it went ${steps.map((step) => step.state).join(' ')}, ${reason}: ${job.message}`);
  const facts = await task.facts();
  const [state, why] = [taskState[job.state], taskReason(job.state, reason)];
  if (facts.state !== state || facts.reason !== why)
    complain(`the API says ${facts.state} ${facts.reason}, its row ${state} ${why}`);
  for (const sentence of wrongFiles(job.state, job.files, story)) complain(sentence);
  return complaints;
}

/** Why this is not the end that follows from what was asked and what happened; null when it is. */
function wrongEnd(
  { state, reason }: { state: JobState; reason: JobReason | null },
  about: { story: Story; steps: readonly Step[]; wasAsked: boolean; wasLost: boolean; waitsMs: number },
): string | null {
  const { story, steps, wasAsked, wasLost, waitsMs } = about;
  const hasBegun = steps.some((step) => step.state === 'RECORDING');
  if (state === 'CANCELED') {
    if (!wasAsked) return 'nobody stopped it, and it is CANCELED';
    return hasBegun ? 'it was recorded, and is CANCELED' : null;
  }
  if (state === 'EXPIRED') {
    const queued = steps.findLast((step) => step.state === 'QUEUED')?.at ?? 0;
    const waitedMs = (steps.at(-1)?.at ?? 0) - queued;
    return waitedMs >= waitsMs && !hasBegun ? null : `it waited for ${waitedMs} ms and is EXPIRED`;
  }
  if (state === 'COMPLETE') {
    if (!hasBegun) return 'it is COMPLETE and was never RECORDING';
    // Who is stopped late ends by itself before that only where its own end is near.
    const isStopped = wasAsked && story.stop !== 'when it has ended';
    const expected = isStopped ? 'USER_INITIATED' : 'MAXIMUM_DURATION';
    return reason === expected ? null : `it ended for ${reason}, and should have for ${expected}`;
  }
  if (state !== 'PARTIAL' && state !== 'FAILED') return null;
  return wasLost ? null : `nothing was taken from it, and it is ${state}`;
}

function wrongFiles(
  state: JobState,
  files: readonly { kind: string; name: string; version: number; deletedAt: Date | null }[],
  { payload }: Story,
): string[] {
  const names = files.map(
    ({ kind, name, version }) => `${kind} ${name}${version === 1 ? '' : ` of version ${version}`}`,
  );
  const finished = state === 'COMPLETE' || state === 'PARTIAL';
  const media = files.filter(({ kind }) => mediaKinds.includes(kind));
  if (!finished) return media.length === 0 ? [] : [`it is ${state}, and there are ${names.join(', ')}`];
  if (media.length === 0) return [`it is ${state}, and has no file: ${names.join(', ')}`];
  if (files.some(({ version, deletedAt }) => version !== 1 || deletedAt !== null))
    return [`its files were made again, or removed: ${names.join(', ')}`];
  const users = media.map(({ name }) => name.replace(/\.\w+$/, ''));
  const strange = users.filter((user, at) => !payload.users.includes(user) || users.indexOf(user) !== at);
  const lists = files.filter(({ kind }) => kind === 'PLAYLIST').length;
  const isListed = lists === (payload.format === 'M3U8' ? media.length : 0);
  return strange.length === 0 && isListed ? [] : [`its files are ${names.join(', ')}, of ${payload.users.join(', ')}`];
}

/** What the rows say of files against what the storage has: each once, of the size that is told, and nothing else. */
export async function judgeStorage(bed: Bed, filesFolder: string): Promise<string[]> {
  // What attempts that were killed had stored goes when the next one, or a sweep, finds it.
  return eventually('the storage to hold what the rows say', settleLimitMs, async () => {
    const problems = await storageProblems(bed, filesFolder);
    return problems.length === 0 && problems;
  }).catch(() => storageProblems(bed, filesFolder));
}

async function storageProblems(bed: Bed, filesFolder: string): Promise<string[]> {
  const rows = await bed.db.file.findMany({
    where: { removedAt: null },
    select: { jobId: true, name: true, storageKey: true, sizeBytes: true },
  });
  const stored = new Map(filesBelow(filesFolder).map((path) => [relative(filesFolder, path), statSync(path).size]));
  const jobs = new Map<string, string>();
  const problems = rows.flatMap(({ jobId, name, storageKey, sizeBytes }) => {
    const other = jobs.get(storageKey);
    jobs.set(storageKey, jobId);
    const size = stored.get(storageKey);
    return [
      ...(other === undefined ? [] : [`${storageKey} is a file of job ${other} and again of ${jobId}`]),
      ...(size === undefined ? [`${name} of job ${jobId} is not in the storage`] : []),
      ...(size !== undefined && size !== Number(sizeBytes)
        ? [`${name} of job ${jobId} has ${size} bytes, its row says ${sizeBytes}`]
        : []),
    ];
  });
  const unknown = [...stored.keys()].filter((key) => !jobs.has(key));
  return [...problems, ...unknown.map((key) => `nobody knows ${key}, which is in the storage`)];
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
}

/** Whether the media of these jobs can be read, and lasts as long as is said. Answers how many files were read, too. */
export async function judgeMedia(
  bed: Bed,
  filesFolder: string,
  jobIds: readonly string[],
): Promise<{ read: number; complaints: string[] }> {
  const files = await bed.db.file.findMany({
    where: { jobId: { in: [...jobIds] }, kind: { in: ['VIDEO', 'SEGMENTS'] } },
  });
  const complaints: string[] = [];
  for (const { jobId, name, storageKey, durationMs } of files) {
    const about = `${name} of task ${jobId}`;
    try {
      const facts = await probe(join(filesFolder, storageKey), { ffprobe: 'ffprobe' });
      const differenceMs = Math.abs(facts.durationMs - (durationMs ?? 0));
      if (!(facts.durationMs > 0)) complaints.push(`${about} lasts ${facts.durationMs} ms`);
      else if (differenceMs > lengthToleranceMs)
        complaints.push(`${about} lasts ${Math.round(facts.durationMs)} ms, its row says ${durationMs} ms`);
    } catch (error) {
      complaints.push(`${about} cannot be read: ${(error as Error).message}`);
    }
  }
  return { read: files.length, complaints };
}

/** What must hold of every job when all is over, whatever was broken meanwhile. */
import { createHash } from 'node:crypto';
import { createReadStream, readdirSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { WorkflowNotFoundError } from '@temporalio/client';
import { gapsBetween, type PartTimes } from '../src/jobs/gaps.js';
import { jobWorkflowId } from '../src/jobs/messages.js';
import { isTerminal, type JobState } from '../src/jobs/states.js';
import { webhookWorkflowId } from '../src/jobs/webhook-messages.js';
import type { Bed } from './bed.js';
import { eventually } from './patience.js';
import { lengthOf, outside, type Pictures, readPictures, type Span, widened } from './pictures.js';
import type { Recording } from './recording.js';
import type { Subscriber } from './subscriber.js';

/** The anchor of a part and the picture it is compared with differ by the way through the encoder. */
const anchorToleranceMs = 400;
/** Warnings are raised when a thing has been wrong for a while, and cleared when it has been well for a while. */
const warningToleranceMs = 2_000;
/** One frame and one packet of sound. */
const seamToleranceMs = 1000 / 30 + (1000 * 1024) / 48_000;
/** From the wish to stop to the last frame before it, at most; the encoder's own delay included. */
const tailToleranceMs = 1_000;
const settleLimitMs = 10_000;
/** A callback whose sender was killed is looked for again after 30 s. */
const callbackLimitMs = 60_000;

/** What was found of one job. */
export interface Findings {
  /** Each a sentence; none when all is well. */
  complaints: string[];
  /** What the pictures lack, pauses excluded, milliseconds; null when the job has no pictures. */
  lostMs: number | null;
  pictures: Pictures | null;
}

/** A file to download, with what the API says of it. */
export interface ResultFile {
  /** Bytes; null where nothing is said. */
  size: string | number | null;
  /** Base64; null where nothing is said. */
  sha256sum: string | null;
  /** Answers where it lies then. */
  download(folder: string): Promise<string>;
}

export interface CheckedJob {
  jobId: string;
  subscriber?: Subscriber;
  /** What a job that is COMPLETE or PARTIAL has made: of a recording whose pictures are read, the one file. */
  results(): Promise<ResultFile[]>;
}

/** Checks everything that can be known of one ended job. */
export async function checkJob(bed: Bed, checked: CheckedJob | Recording): Promise<Findings> {
  const { jobId } = checked;
  const complaints: string[] = [];
  const complain = (about: string) => complaints.push(`job ${jobId}: ${about}`);
  const job = await bed.db.job.findUniqueOrThrow({
    where: { id: jobId },
    include: { parts: true, files: true, placement: true, warnings: true },
  });

  if (!isTerminal(job.state)) complain(`it is ${job.state}, which is no end`);
  if (job.placement) complain('it still holds a place on a machine');
  for (const sentence of await eventProblems(bed, jobId, job.state)) complain(sentence);
  const finished = job.state === 'COMPLETE' || job.state === 'PARTIAL';
  if ((job.progress === 100) !== finished) complain(`its progress is ${job.progress}, and it is ${job.state}`);
  for (const sentence of await subscriberProblems(bed, jobId, checked.subscriber)) complain(sentence);
  for (const sentence of await callbackProblems(bed, jobId)) complain(sentence);
  for (const workflowId of [jobWorkflowId(jobId), webhookWorkflowId(jobId)]) {
    const problem = await workflowProblem(bed, workflowId);
    if (problem) complain(problem);
  }
  // What is not in a result, or in none, is kept for a while.
  const isKept = job.state === 'FAILED' || job.parts.some(({ incomplete }) => incomplete);
  for (const sentence of isKept ? [] : await shippedProblems(bed, jobId)) complain(sentence);
  if (!finished) return { complaints, lostMs: null, pictures: null };

  const folder = await mkdtemp(join(tmpdir(), 'tapedeck-chaos-'));
  try {
    const files: string[] = [];
    for (const result of await checked.results()) {
      const file = await result.download(folder);
      const { size } = await stat(file);
      if (Number(result.size) !== size) complain(`the API tells ${result.size} bytes, the download has ${size}`);
      const sha256 = await sha256Of(file);
      if (result.sha256sum !== sha256)
        complain(`the API tells the hash ${result.sha256sum}, the download has ${sha256}`);
      files.push(file);
    }
    const [file] = files;
    if (file === undefined) complain('it has no file to download');

    if (file === undefined || !('clock' in checked)) return { complaints, lostMs: null, pictures: null };
    const pictures = await readPictures(file, checked.clock);
    const partsMs = job.parts.reduce((sum, { durationMs }) => sum + (durationMs ?? 0), 0);
    const differenceMs = Math.abs(partsMs - pictures.durationMs);
    if (differenceMs > seamToleranceMs * Math.max(1, job.parts.length)) {
      complain(
        `its ${job.parts.length} parts last ${partsMs} ms together, the result ${Math.round(pictures.durationMs)} ms`,
      );
    }
    if (pictures.seen.length === 0) complain('no picture of the result could be read');
    // While there was nobody, pictures were recorded all the same.
    const blank = checked.away.length > 0 ? (lengthOf(pictures.missing) * pictures.decoded) / pictures.durationMs : 0;
    if (pictures.unreadable - blank > pictures.decoded / 20)
      complain(`${pictures.unreadable} of ${pictures.decoded} pictures cannot be read`);
    if (pictures.outOfOrder > 0) complain(`${pictures.outOfOrder} pictures are out of order`);

    const gaps = gapsBetween(
      job.parts.map((part) => ({ ...part, endCause: part.endCause as PartTimes['endCause'] })),
    ).map(({ from, to, cause }) => ({ from: from.getTime(), to: to.getTime(), cause }));
    const warned = job.warnings
      .filter(({ code }) => code === 'FROZEN_PAGE' || code === 'OVERLOADED')
      .map(({ raisedAt, clearedAt }) => ({
        from: raisedAt.getTime() - warningToleranceMs,
        to: (clearedAt ?? new Date()).getTime() + warningToleranceMs,
      }));
    for (const sentence of pictureProblems(pictures, gaps, [...warned, ...checked.away])) complain(sentence);
    const last = pictures.seen.at(-1);
    const { stopAskedAt } = checked;
    if (
      job.state === 'COMPLETE' &&
      stopAskedAt !== undefined &&
      last !== undefined &&
      stopAskedAt - last > tailToleranceMs
    ) {
      complain(`its last picture is ${Math.round(stopAskedAt - last)} ms older than the wish to stop`);
    }
    const pauses = gaps.filter(({ cause }) => cause === 'PAUSED').map((pause) => widened(pause, anchorToleranceMs));
    return {
      complaints,
      lostMs: pictures.seen.length === 0 ? null : lengthOf(pictures.missing.flatMap((span) => outside(span, pauses))),
      pictures,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What hosts left behind on the machine; waits for what is about to go. */
export async function checkTraces(bed: Bed): Promise<string[]> {
  await eventually('nothing to be left behind', settleLimitMs, () => bed.traces.leftovers().length === 0).catch(
    () => {},
  );
  return bed.traces.leftovers();
}

/** `excused`: when pictures may be missing without a gap. */
function pictureProblems(pictures: Pictures, gaps: readonly Span[], excused: readonly Span[]): string[] {
  const explained = [...gaps.map((gap) => widened(gap, anchorToleranceMs)), ...excused];
  const unexplained = pictures.missing
    .flatMap((span) => outside(span, explained))
    .map(
      ({ from, to }) =>
        `the pictures lack ${Math.round(to - from)} ms from ${clock(from)} on, where no gap is recorded`,
    );
  const invented = gaps
    .map((gap) => widened(gap, -anchorToleranceMs))
    .filter(({ from, to }) => pictures.seen.some((at) => at > from && at < to))
    .map(
      ({ from, to }) => `a gap is recorded from ${clock(from)} to ${clock(to)}, but there are pictures of that time`,
    );
  return [...unexplained, ...invented];
}

/** Closed or absent; it may take a moment after the row of its end. */
async function workflowProblem(bed: Bed, workflowId: string): Promise<string | null> {
  const isOver = async () => {
    try {
      return !(await bed.isRunning(workflowId));
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return true;
      throw error;
    }
  };
  return eventually('the workflow to end', settleLimitMs, isOver).then(
    () => null,
    (error: Error) => `the workflow ${workflowId} has not ended: ${error.message}`,
  );
}

async function eventProblems(bed: Bed, jobId: string, state: JobState): Promise<string[]> {
  const events = await bed.db.event.findMany({ where: { jobId }, orderBy: { jobSequence: 'asc' } });
  const problems: string[] = [];
  const numbers = events.map(({ jobSequence }) => jobSequence);
  if (numbers.some((number, index) => number !== index + 1))
    problems.push(`its events are numbered ${numbers.join(' ')}`);
  const states = events.flatMap(({ type, payload }) =>
    type === 'JobStateChanged' ? [(payload as { state: JobState }).state] : [],
  );
  const ends = states.filter(isTerminal);
  if (ends.length !== 1) problems.push(`${ends.length} of its events are an end: ${ends.join(', ')}`);
  const last = events.at(-1)?.payload as { state?: JobState } | undefined;
  if (last?.state !== state)
    problems.push(`it is ${state}, its last event is ${events.at(-1)?.type} ${last?.state ?? ''}`);
  return problems;
}

async function subscriberProblems(bed: Bed, jobId: string, subscriber: Subscriber | undefined): Promise<string[]> {
  if (!subscriber) return [];
  const ended = await eventually('the subscriber', settleLimitMs, () => subscriber.ended.then(() => true)).catch(
    () => false,
  );
  if (!ended) {
    subscriber.leave();
    return ['its subscriber was not told of the end'];
  }
  const since = subscriber.since() ?? 0;
  const events = await bed.db.event.findMany({
    where: { jobId, jobSequence: { gt: since } },
    orderBy: { jobSequence: 'asc' },
  });
  const expected = events.map(({ jobSequence, type }) => `${jobSequence} ${type}`).join(', ');
  const told = subscriber.told().map(({ sequence, type }) => `${sequence} ${type}`);
  const problems: string[] = [];
  if (told.join(', ') !== expected)
    problems.push(`its subscriber was told "${told.join(', ')}", the table says "${expected}"`);
  const falls = subscriber.told().filter(({ progress }, at, all) => at > 0 && progress < (all[at - 1]?.progress ?? 0));
  if (falls.length > 0) problems.push(`its progress fell ${falls.length} times`);
  return problems;
}

/** Every change of state was posted, in order; a job without a callback URL has none to be posted. */
async function callbackProblems(bed: Bed, jobId: string): Promise<string[]> {
  const { callbackUrl } = await bed.db.job.findUniqueOrThrow({ where: { id: jobId } });
  if (!callbackUrl) return [];
  const problems: string[] = [];
  await eventually('its callbacks', callbackLimitMs, async () => {
    const waiting = await bed.db.webhookDelivery.count({ where: { jobId, state: 'PENDING' } });
    return waiting === 0;
  }).catch((error: Error) => problems.push(`its callbacks are still under way: ${error.message}`));
  const events = await bed.db.event.findMany({
    where: { jobId, type: 'JobStateChanged' },
    orderBy: { jobSequence: 'asc' },
  });
  const expected = events.map(({ jobSequence, payload }) => `${jobSequence} ${(payload as { state: string }).state}`);
  const came = bed.receiver.received.map(({ callback }) => callback).filter(({ jobId: id }) => rowIdOf(id) === jobId);
  // At least once is the promise: what was posted when its sender was killed is posted again, under the same event id.
  const first = came.filter(({ eventId }, at) => came.findIndex((other) => other.eventId === eventId) === at);
  const told = first.map(({ seq, state }) => `${seq} ${state}`);
  if (told.join(', ') !== expected.join(', '))
    problems.push(`its callbacks told "${told.join(', ')}", the table says "${expected.join(', ')}"`);
  return problems;
}

/** What was shipped of its parts goes when the result is there. */
async function shippedProblems(bed: Bed, jobId: string): Promise<string[]> {
  if (!bed.cluster) return [];
  const { bucketFolder } = bed.cluster;
  const objects = () =>
    readdirSync(bucketFolder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.parentPath.includes(`/parts/${jobId}`))
      .map(({ parentPath, name }) => join(parentPath, name));
  await eventually('the shipped parts to go', settleLimitMs, () => objects().length === 0).catch(() => {});
  const [one, ...others] = objects();
  return one ? [`${1 + others.length} objects of its parts are still in the storage, such as ${one}`] : [];
}

/** The id of the row, of a global id. */
const rowIdOf = (id: string): string | undefined => Buffer.from(id, 'base64').toString().split(':')[1];

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('base64');
}

const clock = (at: number): string => new Date(at).toISOString().slice(11, 23);

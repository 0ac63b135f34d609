/** Making the files of an ended job again, as long as its parts are kept. */
import type { Viewer } from '../auth/viewer.js';
import type { Config } from '../config.js';
import type { Database, Transaction } from '../db.js';
import type { Job } from '../generated/prisma/client.js';
import { isTerminal } from '../jobs/states.js';
import type { Engine } from '../temporal/client.js';
import { InvalidStateError, NotFoundError, PartsGoneError, UnavailableError } from './errors.js';
import { lockJob } from './job-events.js';
import type { JobAnswer } from './jobs.js';
import { machineSilenceMs } from './machines.js';
import { checkRequestId, earlierResult, keepResult, named } from './requests.js';
import { visibleJobs } from './visibility.js';

interface Deps {
  db: Database;
  engine: Engine;
  config: Pick<Config, 's3'>;
}

export function createRefinalizer({ db, engine, config }: Deps) {
  /**
   * A machine has the parts that it recorded, and where they are shared the shipped ones of all others. So one that was away
   * when the files were made, and kept what they lack, comes first; then the one that recorded last; then any that recorded;
   * then, where parts are shared, any at all.
   */
  async function machineFor({ id: jobId, machineId }: Job): Promise<string> {
    const parts = await db.part.findMany({
      where: { jobId },
      orderBy: [{ incarnation: 'desc' }, { number: 'desc' }],
      select: { machineId: true, incomplete: true },
    });
    const wanted = [...parts.filter(({ incomplete }) => incomplete), { machineId }, ...parts].map(
      (each) => each.machineId,
    );
    const live = await db.machine.findMany({
      where: { lastSeenAt: { gt: new Date(Date.now() - machineSilenceMs) } },
      orderBy: [{ slots: 'desc' }, { id: 'asc' }],
      select: { id: true, slots: true },
    });
    // One that offers nothing goes away, or would keep the files elsewhere.
    const other = config.s3 ? live.find(({ slots }) => slots > 0) : undefined;
    const chosen = wanted.find((id) => live.some((machine) => machine.id === id)) ?? other?.id;
    if (chosen) return chosen;
    throw new UnavailableError(
      'The machine that has the parts of this recording is not there at the moment. Start its recorder worker and ask again.',
    );
  }

  async function checkParts(transaction: Transaction, job: Job): Promise<void> {
    if (!isTerminal(job.state)) {
      const message = `The job is ${job.state.toLowerCase()}: its files are made when it ends. Ask again after that.`;
      throw new InvalidStateError(job.state, message);
    }
    if (job.partsRemovedAt) {
      throw new PartsGoneError(
        `The parts of this recording were removed at ${job.partsRemovedAt.toISOString()}. PARTS_RETENTION_HOURS and ` +
          'FAILED_PARTS_RETENTION_HOURS say how long the service keeps them.',
      );
    }
    // Of an expired job a machine may have parts that were not written down; the sweep says when it has not.
    const mayBeRecorded = job.state === 'EXPIRED' && job.machineId !== null;
    if (!mayBeRecorded && (await transaction.part.count({ where: { jobId: job.id } })) === 0)
      throw new PartsGoneError('Nothing was recorded: there is nothing to make files of.');
  }

  return {
    /**
     * Has the files made again, as another version; the job stays as it ended. Answers once that is accepted, with the number
     * of the job's latest event: the files' events follow, or JobFilesFailed. While a version is being made, or when it failed,
     * it is that version which is asked for. Throws ValidationError, NotFoundError, InvalidStateError,
     * PartsGoneError, ConflictError, and UnavailableError when the engine or the machine with the parts is away.
     */
    async refinalize(jobId: string, viewer: Viewer, requestId?: string): Promise<JobAnswer> {
      checkRequestId(requestId);
      const { job, sequence } = await db.$transaction(async (transaction) => {
        // The lock comes first: a twin of this request waits here and then finds its result.
        await lockJob(transaction, jobId);
        const found = await transaction.job.findFirst({ where: { ...visibleJobs(viewer), AND: { id: jobId } } });
        if (!found) throw new NotFoundError('There is no such job.');
        const claim = named(viewer, 'refinalize', requestId, { jobId });
        const earlier = claim && (await earlierResult(transaction, claim));
        if (earlier) return { job: found, sequence: earlier.sequence };
        await checkParts(transaction, found);
        await machineFor(found);
        const raised = await withVersion(transaction, found);
        if (claim) await keepResult(transaction, claim, { resultId: jobId, sequence: found.eventSequence });
        return { job: raised, sequence: found.eventSequence };
      });
      await deliver(job);
      return { jobId, sequence };
    },
  };

  /** The next version, or the one that was asked for before and is not there: two at once would only be in each other's way. */
  async function withVersion(transaction: Transaction, job: Job): Promise<Job> {
    const { id: jobId, fileVersion: version } = job;
    if (version > 1 && (await transaction.file.count({ where: { jobId, version } })) === 0) return job;
    return transaction.job.update({ where: { id: jobId }, data: { fileVersion: { increment: 1 } } });
  }

  /** Also for a request that is sent again: should its workflow not have been started the first time, or have failed, it is now. */
  async function deliver(job: Job): Promise<void> {
    const { id: jobId, fileVersion: version } = job;
    if ((await db.file.count({ where: { jobId, version } })) > 0) return;
    const machineId = await machineFor(job);
    try {
      await engine.startDelivery({ jobId, machineId, version });
    } catch {
      throw new UnavailableError(
        'The engine did not answer in time. Ask again, with the same request id if it had one.',
      );
    }
  }
}

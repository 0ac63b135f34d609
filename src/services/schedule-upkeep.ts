/** What follows from the rows of schedules: the engine's alarms, and whatever they, or whoever should have acted, have missed. */
import type { Logger } from 'pino';
import type { Database } from '../db.js';
import type { Schedule } from '../generated/prisma/client.js';
import { liveStates } from '../jobs/states.js';
import { limitedTo } from '../limited.js';
import { longestOpenMs } from '../schedules/windows.js';
import type { Alarms } from '../temporal/alarms.js';
import type { Engine } from '../temporal/client.js';
import { lockRecording } from './recording-runs.js';
import { timingOf } from './schedule-times.js';
import type { ScheduledRuns } from './scheduled-runs.js';

/** The engine's alarm has rung, and been heard, by then. */
const patienceMs = 3_000;
/** Whoever was to stop has done so by then. */
const stopPatienceMs = 5_000;
const told = liveStates.filter((state) => state !== 'SCHEDULED' && state !== 'QUEUED');
const atOnce = 8;
const schedulesAtOnce = 200;

export function createScheduleUpkeep(deps: {
  db: Database;
  alarms: Alarms;
  engine: Engine;
  runs: ScheduledRuns;
  log: Logger;
}) {
  const { db, alarms, engine, runs, log } = deps;
  const limited = limitedTo(atOnce);

  async function setAlarm(schedule: Schedule): Promise<void> {
    const { id: scheduleId, version, isPaused, deletedAt } = schedule;
    const timing = timingOf(schedule);
    if (deletedAt) await alarms.remove(scheduleId);
    else if (
      !(await alarms.set({ scheduleId, timing, isPaused, openMs: longestOpenMs(timing), note: noteOf(version) }))
    )
      log.error({ scheduleId }, 'the engine refused the alarm of a schedule: it is started some seconds late');
    await db.schedule.updateMany({
      where: { id: scheduleId, toldVersion: { lt: version } },
      data: { toldVersion: version },
    });
  }

  /** Throws when the engine is away. */
  async function setAlarms(schedules: readonly Schedule[]): Promise<void> {
    for (let begin = 0; begin < schedules.length; begin += atOnce)
      await Promise.all(schedules.slice(begin, begin + atOnce).map(setAlarm));
  }

  /** Tells the engine of schedules that were made, changed or deleted. */
  async function tellChanges(): Promise<void> {
    const changed = await db.schedule.findMany({
      where: { toldVersion: { lt: db.schedule.fields.version } },
      take: schedulesAtOnce,
    });
    await setAlarms(changed);
  }

  /** Starts what is due and was not started: the engine's alarm is lost, or cannot be heard. */
  async function startDue(): Promise<void> {
    const now = Date.now();
    const late = await db.schedule.findMany({
      where: {
        ...{ deletedAt: null, isPaused: false, dueAt: { lt: new Date(now - patienceMs) } },
        OR: [{ retryAt: null }, { retryAt: { lt: new Date(now) } }],
      },
      orderBy: { dueAt: 'asc' },
      take: schedulesAtOnce,
      select: { id: true },
    });
    const startOne = limited(({ id }: { id: string }) =>
      runs.startDue(id).catch((error) => log.warn({ scheduleId: id, err: error }, 'a schedule could not start yet')),
    );
    await Promise.all(late.map(startOne));
  }

  /** Tells jobs whose time is over that it is: it was changed while they could not be told. Who waits is given up by the placement. */
  async function stopLate(): Promise<void> {
    const late = await db.job.findMany({
      where: { state: { in: told }, stopAt: { lt: new Date(Date.now() - stopPatienceMs) } },
      take: schedulesAtOnce,
      select: { id: true, stopAt: true },
    });
    await Promise.all(late.map(limited(({ id, stopAt }) => engine.tellStopTime(id, stopAt as Date))));
  }

  /** A recording whose last run was that of a window that is over is not to be running any more. */
  async function restRecordings(): Promise<void> {
    const ended = await db.$queryRaw<{ id: string; recording_id: string }[]>`
      SELECT run.id, run.recording_id
        FROM schedule
       CROSS JOIN LATERAL (SELECT id, recording_id, reason FROM job
                            WHERE job.schedule_id = schedule.id ORDER BY id DESC LIMIT 1) AS run
        JOIN recording ON recording.id = run.recording_id
       WHERE schedule.last_run_at > now() - interval '3 days' AND recording.active AND run.reason = 'WINDOW_ENDED'`;
    for (const { id, recording_id: recordingId } of ended)
      await db.$transaction(async (transaction) => {
        if (!(await lockRecording(transaction, recordingId))) return;
        const newest = await transaction.job.findFirst({
          where: { recordingId },
          orderBy: { id: 'desc' },
          select: { id: true },
        });
        if (newest?.id === id)
          await transaction.recording.update({ where: { id: recordingId }, data: { active: false } });
      });
  }

  return {
    /** Does what needs no engine. Safe at any time, also twice at once. */
    async startLate(): Promise<void> {
      await startDue();
      await restRecordings();
    },

    /** Tells the engine what it does not know yet. Safe at any time, also twice at once. */
    async tell(): Promise<void> {
      await tellChanges();
      await stopLate();
    },

    /** Sets every alarm that the engine has lost, or has otherwise than it should, and removes those of deleted schedules. */
    async compare(): Promise<void> {
      const notes = await alarms.list();
      let after: string | undefined;
      for (;;) {
        const page = await db.schedule.findMany({
          where: {
            ...(after ? { id: { gt: after } } : {}),
            OR: [{ deletedAt: null }, { id: { in: [...notes.keys()] } }],
          },
          orderBy: { id: 'asc' },
          take: schedulesAtOnce,
        });
        await setAlarms(
          page.filter(({ id, version, deletedAt }) => notes.get(id) !== (deletedAt ? undefined : noteOf(version))),
        );
        after = page.at(-1)?.id;
        if (page.length < schedulesAtOnce) return;
      }
    },
  };
}

const noteOf = (version: number): string => `version ${version}`;

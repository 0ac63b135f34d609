/** What clients may say of a schedule: each thing that is wrong is named by its field. */
import * as z from 'zod';
import { daysOfWeek, knownTimezone } from '../schedules/local-time.js';
import type { Window } from '../schedules/windows.js';
import { plainText, requestIdRule } from './requests.js';

export const mostWindows = 20;

const nameRule = plainText.trim().min(1, 'is empty').max(100, 'is longer than 100 characters');

const timeRule = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$/, 'must be a time such as 09:30 or 09:30:00')
  .transform((time) => (time.length === 5 ? `${time}:00` : time));

const windowRule = z
  .object({ daysOfWeek: z.array(z.enum(daysOfWeek)).nullish(), startAt: timeRule, stopAt: timeRule })
  .transform(({ daysOfWeek: days, ...times }): Window => ({ daysOfWeek: [...new Set(days ?? [])], ...times }));

const timezoneRule = z
  .string()
  .max(64, 'is longer than 64 characters')
  .refine((name) => knownTimezone(name) !== null, 'must be the name of a time zone, such as Europe/Berlin');

const windowsRule = z
  .array(windowRule)
  .min(1, 'is empty: give at least one')
  .max(mostWindows, `has more than ${mostWindows}`);

/** Checked by whoever starts it. */
const workRules = {
  archive: z.record(z.string(), z.unknown()).nullish(),
  task: z.record(z.string(), z.unknown()).nullish(),
  recordingId: z.uuid().nullish(),
};

const boundRules = {
  from: z.date().nullish(),
  until: z.date().nullish(),
  isPaused: z.boolean().nullish(),
  requestId: requestIdRule.nullish(),
};

export const createScheduleRule = z.object({
  name: nameRule,
  timezone: timezoneRule.nullish(),
  windows: windowsRule,
  ...workRules,
  ...boundRules,
});

/** What is left out stays as it is; null takes a bound away. */
export const updateScheduleRule = z.object({
  name: nameRule.nullish(),
  timezone: timezoneRule.nullish(),
  windows: windowsRule.nullish(),
  ...workRules,
  ...boundRules,
});

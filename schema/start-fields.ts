/** What starting a job asks for and answers, whatever it is started as. */
import type { StartedJob } from '../src/services/start-job.js';
import type { builder } from './builder.js';
import { JobPriorityEnum } from './states.js';

type InputFields = Parameters<Parameters<typeof builder.inputType>[1]['fields']>[0];

/** The fields of an input that every job has. */
export const startInputFields = (t: InputFields) => ({
  priority: t.field({
    type: JobPriorityEnum,
    required: false,
    description: 'Which jobs of the project go first when recorders are busy; NORMAL when left out.',
  }),
  callbackUrl: t.string({
    required: false,
    description:
      'Where every change of its state is posted, signed: an http or https address; at most 2,048 characters.',
  }),
});

/** Options of fields of a payload; `what` was started. */
export const startedFields = (what: 'archive' | 'render' | 'task') => ({
  accessToken: {
    nullable: true,
    description: `Credentials for this ${what} alone, shown only here. Null when the request had been carried out before.`,
    resolve: ({ accessToken }: StartedJob) => accessToken,
  } as const,
  sequence: {
    description: 'Number of the event this caused.',
    resolve: ({ sequence }: StartedJob) => sequence,
  } as const,
});

/** The job vocabulary as enums: kinds, states, reasons, and who has to act. */
import { type PartEnd, partEnds } from '../src/jobs/capture.js';
import type { Priority } from '../src/jobs/queue-order.js';
import { type FailureActor, type JobReason, jobReasons, reasons } from '../src/jobs/reasons.js';
import type { JobKind, JobState } from '../src/jobs/states.js';
import { type WarningCode, warningCodes, warnings } from '../src/jobs/warnings.js';
import { builder } from './builder.js';

type Described<Name extends string> = Record<Name, { description: string }>;

export const JobKindEnum = builder.enumType('JobKind', {
  description: 'Which front door a job came through.',
  values: {
    ARCHIVE: { description: 'A page or a room, recorded as it is seen and heard.' },
    RENDER: { description: 'A page that is published into a room.' },
    RECORDING: { description: 'One run of a recording of a stream.' },
    TASK: { description: 'An egress task.' },
  } satisfies Described<JobKind>,
});

export const JobPriorityEnum = builder.enumType('JobPriority', {
  description: 'Which jobs of a project go first. Between projects places are shared fairly, whatever their priority.',
  values: {
    LOW: { description: 'After all others.' },
    NORMAL: { description: 'As usual.' },
    HIGH: { description: 'Before all others.' },
  } satisfies Described<Priority>,
});

export const JobStateEnum = builder.enumType('JobState', {
  description: 'Where a job is. COMPLETE, PARTIAL, FAILED, EXPIRED and CANCELED are final.',
  values: {
    SCHEDULED: { description: 'Waits for its launch time.' },
    QUEUED: { description: 'Waits for a recorder with room for it.' },
    STARTING: { description: 'The recorder opens the source.' },
    STANDBY: { description: 'Ready, waits to be told to begin.' },
    RECORDING: { description: 'Media is being recorded.' },
    RECONNECTING: { description: 'Recording was interrupted and is being taken up again; what was recorded is kept.' },
    PAUSED: { description: 'Recording is paused on request.' },
    STOPPING: { description: 'The recorder closes the last part.' },
    FINALIZING: { description: 'The result is being made from the parts.' },
    COMPLETE: { description: 'The result is ready.' },
    PARTIAL: { description: 'A result is ready, but recording ended early; the reason says why.' },
    FAILED: { description: 'There is no result; the reason says why.' },
    EXPIRED: { description: 'It was not begun in time.' },
    CANCELED: { description: 'Given up before recording began.' },
  } satisfies Described<JobState>,
});

export const JobReasonEnum = builder.enumType('JobReason', {
  description: 'Why a job ended, or changed state against its will.',
  values: Object.fromEntries(
    jobReasons.map((name) => [name, { description: reasons[name].message }]),
  ) as Described<JobReason>,
});

export const FailureActorEnum = builder.enumType('FailureActor', {
  description: 'Who has to act on a failure.',
  values: {
    USER: { description: 'Whoever asked for the job: the request has to change.' },
    SOURCE: { description: 'Whoever runs the page or stream that was to be recorded.' },
    DESTINATION: { description: 'Whoever runs the place that results are delivered to.' },
    SERVICE: { description: 'Whoever runs this service.' },
  } satisfies Described<FailureActor>,
});

const partEndDescriptions: Record<PartEnd, string> = {
  STOPPED: 'The recording ended.',
  PAUSED: 'Paused on request.',
  SUSPENDED: 'The recorder was asked to hand over; another one goes on.',
  ENCODER_DIED: 'The encoder died.',
  ENCODER_STALLED: 'The encoder no longer made progress.',
  BROWSER_DIED: 'The browser died.',
  BROWSER_HUNG: 'The browser no longer drew the page.',
  DISPLAY_DIED: 'The display died.',
  DISPLAY_HUNG: 'The display no longer answered.',
  SOUND_DIED: 'The sound server died.',
  SOUND_HUNG: 'The sound server no longer answered.',
  HOST_DIED: 'The recorder itself died.',
  MACHINE_LOST: 'The machine that recorded was lost.',
  SOURCE_LOST: 'The source ended, or its connection broke.',
  SOURCE_STALLED: 'The source sent nothing more.',
  SOURCE_CHANGED: 'The source sent other media than before: another codec, or pictures of another size.',
  TIME_JUMPED: 'The times that the source gives jumped.',
  RECONFIGURED: 'The recording was changed: the next part is recorded by the new settings.',
};

export const PartEndEnum = builder.enumType('PartEnd', {
  description: 'Why a part ended. After all but the first the next part begins behind a gap.',
  values: Object.fromEntries(
    partEnds.map((name) => [name, { description: partEndDescriptions[name] }]),
  ) as Described<PartEnd>,
});

export const WarningCodeEnum = builder.enumType('WarningCode', {
  description: 'What may be wrong with a recording while it goes on.',
  values: Object.fromEntries(
    warningCodes.map((name) => [name, { description: warnings[name] }]),
  ) as Described<WarningCode>,
});

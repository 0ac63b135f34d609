/** Jobs: the one kind of work behind every front door. */

import type { LinkStats, PartEnd } from '../src/jobs/capture.js';
import { type Gap, gapsBetween, type PartTimes } from '../src/jobs/gaps.js';
import { shownProgress } from '../src/jobs/progress.js';
import { priorities } from '../src/jobs/queue-order.js';
import { type FailureActor, type JobReason, reasons } from '../src/jobs/reasons.js';
import type { WarningCode } from '../src/jobs/warnings.js';
import { builder } from './builder.js';
import { FileConnection } from './file.js';
import { jobTypes, uuidOf } from './ids.js';
import { totalCountField } from './pages.js';
import {
  FailureActorEnum,
  JobKindEnum,
  JobPriorityEnum,
  JobReasonEnum,
  JobStateEnum,
  PartEndEnum,
  WarningCodeEnum,
} from './states.js';
import { targetsInOrder } from './target.js';

interface FailureShape {
  actor: FailureActor;
  code: JobReason;
  message: string;
}

export const JobFailure = builder.objectRef<FailureShape>('JobFailure').implement({
  description: 'What went wrong with a job, and who has to act.',
  fields: (t) => ({
    actor: t.expose('actor', { type: FailureActorEnum, description: 'Who has to act.' }),
    code: t.expose('code', { type: JobReasonEnum, description: 'The failure as a stable code.' }),
    message: t.exposeString('message', { description: 'What was wrong, what was expected, and what to do.' }),
  }),
});

/** The failure a job's reason stands for; null when it ended as intended. */
export function failureOf(job: { reason: string | null; message: string | null }): FailureShape | null {
  if (!job.reason) return null;
  const code = job.reason as JobReason;
  const { actor, message } = reasons[code];
  return actor && { actor, code, message: job.message ?? message };
}

export const JobPart = builder.prismaObject('Part', {
  name: 'JobPart',
  description: 'One uninterrupted stretch of capture. The time between two parts is a gap.',
  select: { jobId: true, incarnation: true, number: true },
  fields: (t) => ({
    incarnation: t.exposeInt('incarnation', { description: 'Counts the recorders that worked on the job, from 1.' }),
    number: t.exposeInt('number', { description: 'Counts the parts of one recorder.' }),
    startedAt: t.expose('startedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the first media was captured.',
    }),
    duration: t.float({
      nullable: true,
      description: 'Media in the part, seconds. Null while it is being written.',
      select: { durationMs: true },
      resolve: ({ durationMs }) => (durationMs === null ? null : durationMs / 1000),
    }),
    size: t.expose('bytes', { type: 'BigInt', nullable: true, description: 'Bytes. Null while it is being written.' }),
    endCause: t.field({
      type: PartEndEnum,
      nullable: true,
      description: 'Why the part ended. Null while it is being written.',
      select: { endCause: true },
      resolve: ({ endCause }) => endCause as PartEnd | null,
    }),
  }),
});

export const JobGap = builder.objectRef<Gap>('JobGap').implement({
  description: 'Time between two parts, of which nothing was recorded.',
  fields: (t) => ({
    from: t.expose('from', { type: 'DateTime', description: 'When the part before it ended.' }),
    to: t.expose('to', { type: 'DateTime', description: 'When the part after it began.' }),
    lost: t.float({ description: 'Length of the gap, seconds.', resolve: ({ lostMs }) => lostMs / 1000 }),
    cause: t.expose('cause', { type: PartEndEnum, description: 'Why the part before it ended.' }),
  }),
});

export const JobWarning = builder.prismaObject('JobWarning', {
  description: 'Something that was wrong with a recording for a while. Recording went on.',
  select: { jobId: true, code: true, raisedAt: true },
  fields: (t) => ({
    code: t.field({
      type: WarningCodeEnum,
      description: 'What was wrong.',
      resolve: ({ code }) => code as WarningCode,
    }),
    message: t.exposeString('message', { description: 'The same in words.' }),
    raisedAt: t.expose('raisedAt', { type: 'DateTime', description: 'Since when it was so.' }),
    clearedAt: t.expose('clearedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was well again, or recording ended. Null while it lasts.',
    }),
  }),
});

const LinkStatsType = builder.objectRef<LinkStats>('LinkStats').implement({
  description: 'The SRT link that media comes over. Counts are totals since its recorder began.',
  fields: (t) => ({
    bitrate: t.exposeFloat('bitrate', { description: 'Bits per second that arrive.' }),
    rtt: t.float({ description: 'Round trip, milliseconds.', resolve: ({ rttMs }) => rttMs }),
    bufferDelay: t.float({
      description: 'Media that waits to be handed on, milliseconds: what is left of it for packets that are late.',
      resolve: ({ bufferMs }) => bufferMs,
    }),
    packetsReceived: t.float({ description: 'Packets received.', resolve: (link) => link.packetsReceived }),
    packetsLost: t.float({ description: 'Packets lost on their way.', resolve: (link) => link.packetsLost }),
    packetsRetransmitted: t.float({
      description: 'Packets that were sent again, and received.',
      resolve: (link) => link.packetsRetransmitted,
    }),
    packetsDropped: t.float({
      description: 'Packets that came too late, and are missing in the recording.',
      resolve: (link) => link.packetsDropped,
    }),
    receiveCapacity: t.float({
      description: 'What the link is thought to carry, bits per second.',
      resolve: ({ capacity }) => capacity,
    }),
    activeStreams: t.exposeInt('activeStreams', { description: 'Connections that media comes over: 0 or 1.' }),
  }),
});

export const JobStats = builder.prismaObject('JobStats', {
  description: 'The latest statistics of a running job.',
  select: { jobId: true },
  fields: (t) => ({
    frames: t.field({
      type: 'BigInt',
      description: 'Frames recorded.',
      select: { frames: true },
      resolve: ({ frames }) => frames,
    }),
    fps: t.exposeFloat('fps', { description: 'Frames per second, over the last seconds.' }),
    bitrate: t.exposeFloat('bitrate', { description: 'Bits per second, over the last seconds.' }),
    bitrateKbits: t.int({
      description: 'The same in whole kilobits (1,000 bits) per second.',
      select: { bitrate: true },
      resolve: ({ bitrate }) => Math.round(bitrate / 1000),
    }),
    size: t.expose('bytes', { type: 'BigInt', description: 'Bytes recorded.' }),
    outTime: t.field({
      type: 'BigInt',
      description: 'Media time recorded, milliseconds.',
      select: { positionMs: true },
      resolve: ({ positionMs }) => positionMs,
    }),
    link: t.field({
      type: LinkStatsType,
      nullable: true,
      description: 'The link that media comes over. Null where the input has none that is measured.',
      select: { link: true },
      resolve: ({ link }) => link as LinkStats | null,
    }),
    position: t.float({
      description: 'Media time recorded, seconds.',
      select: { positionMs: true },
      resolve: ({ positionMs }) => Number(positionMs) / 1000,
    }),
    speed: t.exposeFloat('speed', {
      description: 'Speed of recording relative to real time. Below 0.95 the machine is overloaded.',
    }),
    dropped: t.expose('dropped', {
      type: 'BigInt',
      description: 'Frames left out because the machine could not follow.',
    }),
    duplicated: t.expose('duplicated', {
      type: 'BigInt',
      description: 'Frames repeated because no new one came in time.',
    }),
    progress: t.exposeFloat('progress', { description: 'From 0 to 100, never falling.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When this was measured.' }),
    job: t.relation('job', {
      // All active jobs at once are priced at a tenth, which is right for what comes with them, but not for what is read besides.
      complexity: { field: 5, multiplier: 5 },
      description: 'The job they are of.',
    }),
  }),
});

export const warningsInOrder = { orderBy: [{ raisedAt: 'asc' as const }, { code: 'asc' as const }] };
export const partsInOrder = { orderBy: [{ incarnation: 'asc' as const }, { number: 'asc' as const }] };

/** The gaps between parts as the database has them. */
export const gapsOf = (parts: (Omit<PartTimes, 'endCause'> & { endCause: string | null })[]): Gap[] =>
  gapsBetween(parts as PartTimes[]);

export const Job = builder.prismaNode('Job', {
  id: { field: 'id', description: 'Global id. Opaque, and lasting.' },
  description: 'One piece of recording work, of any kind. Runs durably: it outlives every process that works on it.',
  select: { id: true },
  fields: (t) => ({
    kind: t.expose('kind', { type: JobKindEnum, description: 'Which front door it came through.' }),
    state: t.expose('state', { type: JobStateEnum, description: 'Where it is.' }),
    reason: t.field({
      type: JobReasonEnum,
      nullable: true,
      description: 'Why it is in this state, where there is more to say than the state does.',
      select: { reason: true },
      resolve: ({ reason }) => reason as JobReason | null,
    }),
    message: t.exposeString('message', { nullable: true, description: 'The reason in words.' }),
    failure: t.field({
      type: JobFailure,
      nullable: true,
      description: 'What went wrong. Null when nothing did.',
      select: { reason: true, message: true },
      resolve: failureOf,
    }),
    progress: t.float({
      description: 'From 0 to 100, never falling; 100 only when the result is ready.',
      select: { progress: true, stats: { select: { progress: true } } },
      resolve: shownProgress,
    }),
    previewUrl: t.string({
      authScopes: { mayUse: 'Job.previewUrl' },
      nullable: true,
      description:
        'An HLS playlist of what is being recorded, some 4 to 6 seconds behind, for whoever knows its address: made while somebody plays it. Null while nothing is recorded, and for people who are recorded one by one.',
      select: { id: true, state: true, source: true, accessTokenHash: true },
      resolve: (job, _args, { services }) => services.previews.urlOf(job),
    }),
    queuePosition: t.int({
      nullable: true,
      description:
        'Place in the queue of those that need as much of a recorder, 1 being the next. Null when it does not wait for one.',
      select: { id: true, state: true },
      complexity: 5,
      resolve: async ({ id, state }, _args, { services }) =>
        state === 'QUEUED' ? ((await services.capacity.placeOf(id))?.position ?? null) : null,
    }),
    expectedStartAt: t.field({
      type: 'DateTime',
      nullable: true,
      description:
        'When a recorder takes it at the latest, unless others go before it: if nobody stops before their maximum duration. Of a scheduled job its launch time. Null when it does not wait, and while there is no recorder for it.',
      select: { id: true, state: true, launchAt: true },
      complexity: 5,
      resolve: async ({ id, state, launchAt }, _args, { services }) => {
        if (state === 'SCHEDULED') return launchAt;
        return state === 'QUEUED' ? ((await services.capacity.placeOf(id))?.expectedStartAt ?? null) : null;
      },
    }),
    priority: t.field({
      type: JobPriorityEnum,
      description: 'Of the jobs of its project that wait, those of a higher one go first.',
      select: { priority: true },
      resolve: ({ priority }) => priorities[priority] ?? 'NORMAL',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was asked for.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it last changed.' }),
    startedAt: t.expose('startedAt', { type: 'DateTime', nullable: true, description: 'First recorded frame.' }),
    stoppedAt: t.expose('stoppedAt', { type: 'DateTime', nullable: true, description: 'Last recorded frame.' }),
    endedAt: t.expose('endedAt', { type: 'DateTime', nullable: true, description: 'When it entered its final state.' }),
    deadlineAt: t.expose('deadlineAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it leaves its state by itself at the latest. Null in a final state.',
    }),
    maxDuration: t.int({
      description: 'After this long it stops by itself, seconds since the first frame, pauses excluded.',
      select: { maxDurationMs: true },
      resolve: ({ maxDurationMs }) => Math.round(maxDurationMs / 1000),
    }),
    recordedDuration: t.float({
      nullable: true,
      description: 'Media in the result, seconds. Null until that is known.',
      select: { recordedMs: true },
      resolve: ({ recordedMs }) => (recordedMs === null ? null : recordedMs / 1000),
    }),
    pausedDuration: t.float({
      description: 'All pauses together, seconds. They do not count towards the maximum duration.',
      select: { pausedMs: true, state: true, stateSince: true },
      resolve: ({ pausedMs, state, stateSince }) =>
        (pausedMs + (state === 'PAUSED' ? Date.now() - stateSince.getTime() : 0)) / 1000,
    }),
    autostart: t.exposeBoolean('autostart', {
      description: 'Whether recording begins by itself; else it waits in STANDBY to be begun.',
    }),
    launchTime: t.expose('launchAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it is, or was, to be queued. Null when at once.',
    }),
    callbackUrl: t.exposeString('callbackUrl', {
      nullable: true,
      description: 'Where its changes of state are posted.',
    }),
    warnings: t.relation('warnings', {
      query: warningsInOrder,
      complexity: 10,
      description: 'What was, or is, wrong with the recording, oldest first.',
    }),
    targets: t.relation('targets', {
      query: targetsInOrder,
      complexity: 10,
      description: 'Far servers that it is, or was, broadcast to, oldest first.',
    }),
    parts: t.relation('parts', {
      query: partsInOrder,
      complexity: 10,
      description: 'What was captured so far, in order.',
    }),
    gaps: t.field({
      type: [JobGap],
      complexity: 10,
      description: 'What was not captured between the first frame and the last, in order; pauses too.',
      select: { parts: partsInOrder },
      resolve: ({ parts }) => gapsOf(parts),
    }),
    files: t.relatedConnection(
      'files',
      {
        cursor: 'id',
        query: { where: { deletedAt: null }, orderBy: { id: 'asc' } },
        description: 'Results to download, and what explains a failure; oldest first.',
      },
      FileConnection,
    ),
    stats: t.relation('stats', { nullable: true, description: 'Latest statistics. Null before recording.' }),
    sequence: t.exposeInt('eventSequence', { description: 'Number of its latest event.' }),
    cursor: t.field({
      type: 'Cursor',
      description: 'Give it to `jobEvents` as `after` to be told what happens from this state on.',
      select: { id: true, eventSequence: true },
      complexity: 5,
      resolve: ({ id, eventSequence }, _args, { services }) => services.events.cursorOf(id, eventSequence),
    }),
    room: t.relation('room', { nullable: true, description: 'The room that is recorded, where it is of one.' }),
    session: t.relation('session', {
      nullable: true,
      description: 'The live session that is recorded, where it is of one.',
    }),
    archive: t.relation('archive', {
      nullable: true,
      description: 'The archive it makes, when it came through that door.',
    }),
    task: t.relation('task', { nullable: true, description: 'The task it does, when it came through that door.' }),
  }),
});

export const JobEdge = builder.edgeObject({ type: Job, name: 'JobEdge', description: 'A job and its cursor.' });
/** What answers it has a total count: fields of a row need `totalCount: true`. */
export const JobConnection = builder.connectionObject(
  {
    type: Job,
    name: 'JobConnection',
    description: 'A page of jobs.',
    fields: (c) => ({ totalCount: c.int(totalCountField) }),
  },
  JobEdge,
);

builder.queryField('job', (t) =>
  t.withAuth({ mayUse: 'Query.job' }).prismaField({
    type: Job,
    nullable: true,
    description:
      'A job by its id, or by the id of what was asked for, such as an archive; of a recording its newest run. Null when there is none.',
    args: { id: t.arg.id({ description: 'Global id of the job, of its archive, render or task, or of a recording.' }) },
    resolve: async (query, _root, { id }, { services, viewer }) => {
      const recordingId = uuidOf(id, ['Recording']);
      const run = recordingId && (await services.recordingPages.newestRun(recordingId));
      const jobId = run ? run.jobId : uuidOf(id, jobTypes);
      return jobId === null ? null : services.jobs.find(query, jobId, viewer);
    },
  }),
);

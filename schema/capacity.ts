/** What recorders can take, and who they are. */
import type { Capacity as CapacityShape, PoolCapacity } from '../src/events/capacity-feed.js';
import { Stream } from '../src/events/source.js';
import type { Pool } from '../src/jobs/cost.js';
import type { WorkerFacts, WorkerState } from '../src/services/capacity.js';
import { builder } from './builder.js';

const JobPoolEnum = builder.enumType('JobPool', {
  description: 'What a job keeps busy of a recorder.',
  values: {
    ENCODE: { value: 'encode', description: 'It encodes pictures: pages, and streams that are transcoded.' },
    COPY: { value: 'copy', description: 'It copies what comes: streams, and people who are recorded one by one.' },
  } satisfies Record<string, { value: Pool; description: string }>,
});

const PoolCapacityType = builder.objectRef<PoolCapacity>('PoolCapacity').implement({
  description: 'The places of one kind of all recorders together.',
  fields: (t) => ({
    pool: t.field({ type: JobPoolEnum, description: 'For which jobs.', resolve: ({ pool }) => pool }),
    slots: t.exposeInt('slots', { description: 'How many there are.' }),
    used: t.exposeInt('used', { description: 'How many are taken.' }),
    free: t.exposeInt('free', {
      description: 'How many are left: fewer than the rest while jobs take more than one place is meant for.',
    }),
    waiting: t.exposeInt('waiting', { description: 'How many jobs wait for one.' }),
    load: t.float({
      description: 'Share of them that is taken, 0 to 1; 1 where there are none.',
      resolve: ({ slots, used }) => (slots === 0 ? 1 : Math.min(1, used / slots)),
    }),
  }),
});

const Capacity = builder.objectRef<CapacityShape>('Capacity').implement({
  description: 'What all recorders together can take, and what waits for them, of all projects.',
  fields: (t) => ({
    at: t.expose('at', { type: 'DateTime', description: 'When it was read.' }),
    workers: t.exposeInt('workers', { description: 'Recorders that are there and take jobs.' }),
    pools: t.field({
      type: [PoolCapacityType],
      description: 'Their places, by what jobs keep busy.',
      resolve: ({ pools }) => pools,
    }),
    queueLength: t.exposeInt('queueLength', { description: 'Jobs that wait for a recorder.' }),
    scheduled: t.exposeInt('scheduled', { description: 'Jobs that wait for their launch time.' }),
  }),
});

builder.queryField('capacity', (t) =>
  t.withAuth({ mayUse: 'Query.capacity' }).field({
    type: Capacity,
    description: 'What all recorders together can take now.',
    resolve: (_root, _args, { services }) => services.capacity.now(),
  }),
);

builder.subscriptionField('capacity', (t) =>
  t.withAuth({ mayUse: 'Subscription.capacity' }).field({
    type: Capacity,
    description: 'What all recorders together can take: now, then every second in which that has changed.',
    subscribe: (_root, _args, { services }) => new Stream<CapacityShape>(services.capacity.follow()),
    resolve: (value) => value,
  }),
);

const WorkerStateEnum = builder.enumType('WorkerState', {
  description: 'Whether a recorder can be counted on.',
  values: {
    ONLINE: { description: 'It takes jobs, if it has places left.' },
    DRAINING: { description: 'It finishes the jobs it has, and takes no more.' },
    LOST: { description: 'It was not heard of for 15 s: its jobs go on elsewhere if it does not come back.' },
  } satisfies Record<WorkerState, { description: string }>,
});

const Worker = builder.objectRef<WorkerFacts>('Worker').implement({
  description: 'A machine that records.',
  fields: (t) => ({
    id: t.exposeString('id', { description: 'The same over restarts, as long as its data directory is.' }),
    hostname: t.exposeString('hostname', { description: 'As the machine calls itself.' }),
    version: t.exposeString('version', { description: 'Of Tapedeck.' }),
    state: t.field({
      type: WorkerStateEnum,
      description: 'Whether it can be counted on.',
      resolve: ({ state }) => state,
    }),
    slots: t.exposeInt('slots', { description: 'How many jobs it encodes at once.' }),
    copySlots: t.exposeInt('copySlots', { description: 'How many it copies at once.' }),
    encoding: t.int({ description: 'How many jobs it encodes now.', resolve: ({ jobs }) => jobs.encode }),
    copying: t.int({ description: 'How many it copies now.', resolve: ({ jobs }) => jobs.copy }),
    displays: t.exposeInt('displays', {
      nullable: true,
      description: 'How many pages it can show at once: 0 where it has no browser. Null when unknown.',
    }),
    cpus: t.exposeInt('cpus', { description: 'How many processors it has.' }),
    reservedCores: t.float({
      description: 'How many of them are kept for the jobs it has.',
      resolve: ({ reserved }) => reserved.cores,
    }),
    load: t.exposeFloat('load', { description: 'How many of them were wanted on average over the last minute.' }),
    memory: t.field({ type: 'BigInt', description: 'Bytes.', resolve: ({ memory }) => memory }),
    reservedMemory: t.field({
      type: 'BigInt',
      description: 'Bytes that are kept for the jobs it has.',
      resolve: ({ reserved }) => BigInt(reserved.memoryBytes),
    }),
    freeMemory: t.field({ type: 'BigInt', description: 'Bytes.', resolve: ({ freeMemory }) => freeMemory }),
    freeDisk: t.field({
      type: 'BigInt',
      nullable: true,
      description: 'Bytes that recordings may still take. Null when unknown.',
      resolve: ({ freeBytes }) => freeBytes,
    }),
    lastSeenAt: t.expose('lastSeenAt', { type: 'DateTime', description: 'When it was last heard of.' }),
  }),
});

builder.queryField('workers', (t) =>
  t.withAuth({ mayUse: 'Query.workers' }).field({
    type: [Worker],
    description: 'The machines that record, as far as they were heard of within a day.',
    complexity: 10,
    resolve: (_root, _args, { services }) => services.capacity.workers(),
  }),
);

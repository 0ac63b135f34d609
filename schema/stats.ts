/** Following live statistics: of one job, of all active jobs, and of a session. Only the newest value counts. */

import { Stream } from '../src/events/source.js';
import { type ActiveStats as ActiveStatsShape, maxActive } from '../src/events/stats-readings.js';
import type { JobStats as JobStatsRow, SessionStats as SessionStatsRow } from '../src/generated/prisma/client.js';
import { builder } from './builder.js';
import { uuidFrom } from './ids.js';
import { JobStats } from './job.js';
import { jobIdDescription, jobIdFrom } from './job-id.js';
import { SessionStats } from './session.js';

/** What the statistics of all active jobs are priced as: one reading has them all, so that a row costs a tenth of one in a page. */
const pricedRows = maxActive / 10;

const intervalDescription = 'Whole seconds, 1 to 60: about one value in so many at most, and the newest wins.';

const ActiveStats = builder.objectRef<ActiveStatsShape>('ActiveStats').implement({
  description: 'The statistics of all active jobs at one moment: those that a recorder prepares, records or stops.',
  fields: (t) => ({
    at: t.expose('at', { type: 'DateTime', description: 'When they were read.' }),
    total: t.exposeInt('total', { description: 'How many active jobs there are that have statistics.' }),
    stats: t.prismaField({
      type: [JobStats],
      description: `Their statistics, those of the oldest job first; of the oldest ${maxActive.toLocaleString('en')} at most.`,
      complexity: { field: 1, multiplier: pricedRows },
      resolve: (query, { stats }, _args, { services }) => services.stats.withRelations(query, stats),
    }),
  }),
});

builder.queryField('activeStats', (t) =>
  t.withAuth({ mayUse: 'Query.activeStats' }).field({
    type: ActiveStats,
    description: 'The statistics of all active jobs now.',
    resolve: (_root, _args, { services, viewer }) => services.stats.activeNow(viewer),
  }),
);

builder.subscriptionField('activeStats', (t) =>
  t.withAuth({ mayUse: 'Subscription.activeStats' }).field({
    type: ActiveStats,
    description:
      'The statistics of all active jobs: now, also when there are none, then every second in which any of it changed.',
    args: { interval: t.arg.int({ required: false, defaultValue: 1, description: intervalDescription }) },
    subscribe: (_root, { interval }, { services, viewer }) =>
      new Stream<ActiveStatsShape>(services.stats.active(interval ?? 1, viewer)),
    resolve: (value) => value,
  }),
);

// A field of Prisma's makes its row count as read: any other would have each value read once more from the database.
builder.subscriptionField('jobStats', (t) =>
  t.withAuth({ mayUse: 'Subscription.jobStats' }).prismaField({
    type: JobStats,
    description: 'The statistics of a job, every second while it is recorded; ends when the job does.',
    args: {
      jobId: t.arg.id({ description: jobIdDescription }),
      interval: t.arg.int({ required: false, defaultValue: 1, description: intervalDescription }),
    },
    subscribe: async (_root, { jobId, interval }, { services, viewer }) =>
      new Stream<JobStatsRow>(await services.stats.job(await jobIdFrom(jobId, services), interval ?? 1, viewer)),
    resolve: async (query, stats, _args, { services }) => {
      const [whole] = await services.stats.withRelations(query, [stats]);
      return whole as JobStatsRow;
    },
  }),
);

builder.subscriptionField('sessionStats', (t) =>
  t.withAuth({ mayUse: 'Subscription.sessionStats' }).prismaField({
    type: SessionStats,
    description: 'The statistics of a session, every second while it is live; ends when the session does.',
    args: {
      sessionId: t.arg.id({ description: 'Global id of the session.' }),
      interval: t.arg.int({ required: false, defaultValue: 1, description: intervalDescription }),
    },
    subscribe: async (_root, { sessionId, interval }, { services, viewer }) => {
      const id = uuidFrom(sessionId, ['Session'], 'session');
      return new Stream<SessionStatsRow>(await services.stats.session(id, interval ?? 1, viewer));
    },
    resolve: (_query, stats) => stats,
  }),
);

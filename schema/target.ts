/** Far servers that a job is broadcast to. */
import { maskedTargetUrl } from '../src/services/target-urls.js';
import { builder } from './builder.js';

export const JobTargetStateEnum = builder.enumType('JobTargetState', {
  description: 'How a broadcast to a far server goes.',
  values: {
    CONNECTING: { description: 'Nothing was sent yet.' },
    LIVE: { description: 'What is captured is being sent.' },
    RECONNECTING: { description: 'It was live, and will be again: it is tried without end while the job is captured.' },
    ENDED: { description: 'It was taken away, or nothing is captured any more.' },
    FAILED: { description: 'It can never work: the address is none, or may not be reached.' },
  },
});

export const JobTarget = builder.prismaNode('JobTarget', {
  id: { field: 'id', description: 'Global id. Opaque, and lasting.' },
  description: 'A far server that a job is broadcast to while it is captured.',
  select: { id: true },
  fields: (t) => ({
    url: t.string({
      description: 'Where it is, with the stream key left out.',
      select: { url: true },
      resolve: ({ url }) => maskedTargetUrl(url),
    }),
    state: t.expose('state', { type: JobTargetStateEnum, description: 'How it goes.' }),
    message: t.exposeString('message', { nullable: true, description: 'Why, where there is more to say.' }),
    bytesSent: t.expose('bytesSent', { type: 'BigInt', description: 'Bytes sent so far.' }),
    since: t.expose('stateSince', { type: 'DateTime', description: 'Since when it is in this state.' }),
    removedAt: t.expose('removedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was taken away. Null while it belongs to the job.',
    }),
  }),
});

export const targetsInOrder = { orderBy: { id: 'asc' as const } };

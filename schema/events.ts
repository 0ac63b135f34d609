/** What every item of every stream of events has. */
import type { StreamItem, StreamSubject } from '../src/jobs/events.js';
import { builder } from './builder.js';

export const afterDescription =
  'Go on behind this item instead of beginning with a snapshot. Of one that is too old, or of another database, a snapshot is all that can be told.';

export const snapshotDescription =
  'The first item of a stream that begins without `after`, or that cannot go on from it. `occurredAt` is when it was taken, of a job when its latest event happened.';

const snapshotTypes = { job: 'JobSnapshot', room: 'RoomSnapshot', project: 'ProjectSnapshot' } as const;

export function typeNameOf(item: StreamItem): string {
  if (item.kind === 'event') return item.payload.type;
  return item.kind === 'lagged' ? 'StreamLagged' : snapshotTypes[item.subject.of];
}

export type SnapshotOf<Of extends StreamSubject['of']> = Extract<StreamItem, { kind: 'snapshot' }> & {
  subject: Extract<StreamSubject, { of: Of }>;
};

export const Event = builder.interfaceRef<StreamItem>('Event').implement({
  description: 'One item of a stream of events.',
  resolveType: typeNameOf,
  fields: (t) => ({
    cursor: t.expose('cursor', { type: 'Cursor', description: 'Give it as `after` to go on behind this item.' }),
    sequence: t.exposeInt('sequence', {
      description:
        'Number of the event within its job, from 1, without gaps. Of a snapshot, that of the latest event in it; 0 where it is of more than one job. 0 for what happened in a room itself: there, only cursors tell the order. Of StreamLagged, that of the last item sent; 0 if none was.',
    }),
    occurredAt: t.expose('occurredAt', {
      type: 'DateTime',
      description: 'When it happened. Of StreamLagged, when the last item sent did.',
    }),
  }),
});

/** Renders: pages that are published back into a room. */
import type { PageSource } from '../src/jobs/capture.js';
import { type RenderStatus, renderStatus, renderStatuses } from '../src/jobs/render-status.js';
import { builder } from './builder.js';
import { frontDoor } from './front-door.js';
import { encodeId, uuidOf } from './ids.js';
import { totalCountField } from './pages.js';
import { Room } from './room.js';

const descriptions: Record<RenderStatus, string> = {
  STARTING: 'The page is not yet published.',
  STARTED: 'The page is published in the room.',
  STOPPED: 'It was published, and is no longer.',
  FAILED: 'It could not be published, or not for as long as it should; the reason says why.',
};

const RenderStatusEnum = builder.enumType('RenderStatus', {
  description: "A render's status, derived from the state of its job.",
  values: Object.fromEntries(renderStatuses.map((status) => [status, { description: descriptions[status] }])) as Record<
    RenderStatus,
    { description: string }
  >,
});

export const Render = builder.prismaNode('Render', {
  id: { field: 'id', description: 'Global id. Opaque, and lasting.' },
  description: 'A page that is published into a room, as a stream that others see and archives record.',
  select: { id: true },
  fields: (t) => ({
    name: t.exposeString('name', { description: 'What others in the room see it called.' }),
    url: t.exposeString('url', { nullable: true, description: 'The page. Null for our own viewer page of the room.' }),
    resolution: t.string(frontDoor.resolution),
    status: t.field({
      type: RenderStatusEnum,
      description: 'Where it is, in the words of renders.',
      select: { job: { select: { state: true } } },
      resolve: ({ job }) => renderStatus[job.state],
    }),
    state: t.field(frontDoor.state),
    reason: t.field(frontDoor.reason),
    message: t.string(frontDoor.message),
    sessionId: t.id({
      description: 'What its room is joined by.',
      select: { job: { select: { source: true } } },
      resolve: ({ job }) => encodeId('Room', (job.source as unknown as PageSource).room?.roomId ?? ''),
    }),
    projectId: t.id(frontDoor.projectId),
    room: t.field({
      type: Room,
      nullable: true,
      description: 'The room it is published in.',
      select: (_args, _context, nestedSelection) => ({ job: { select: { room: nestedSelection() } } }),
      resolve: ({ job }) => job.room,
    }),
    streamId: t.exposeString('streamId', {
      nullable: true,
      description:
        'Names its stream in the room: `streamId` of the participant that it is there. Another one after a restart. Null before it was published.',
    }),
    callbackUrl: t.string(frontDoor.callbackUrl),
    maxDuration: t.int({
      description: 'After this long it stops by itself, seconds since the first frame.',
      select: { job: { select: { maxDurationMs: true } } },
      resolve: ({ job }) => Math.round(job.maxDurationMs / 1000),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was asked for.' }),
    updatedAt: t.field(frontDoor.updatedAt),
    job: t.relation('job', { description: 'The job that makes it.' }),
  }),
});

const RendersFilter = builder.inputType('RendersFilter', {
  description: 'Which renders to list. Every condition given must hold.',
  fields: (t) => ({
    roomId: t.id({ required: false, description: 'In this room, by its global id.' }),
    createdAfter: t.field({ type: 'DateTime', required: false, description: 'Asked for later than this.' }),
    createdBefore: t.field({ type: 'DateTime', required: false, description: 'Asked for earlier than this.' }),
  }),
});

type GivenFilter = typeof RendersFilter.$inferInput | null | undefined;
const filterFrom = (filter: GivenFilter) => ({
  ...filter,
  roomId: filter?.roomId == null ? undefined : uuidOf(String(filter.roomId), ['Room']),
});

builder.queryField('render', (t) =>
  t.withAuth({ mayUse: 'Query.render' }).prismaField({
    type: Render,
    nullable: true,
    description: 'A render by its id. Null when there is none.',
    args: { id: t.arg.id({ description: 'Global id of the render.' }) },
    resolve: (query, _root, { id }, { services, viewer }) => {
      const renderId = uuidOf(id, ['Render']);
      return renderId === null ? null : services.renders.find(query, renderId, viewer);
    },
  }),
);

builder.queryField('renders', (t) =>
  t.withAuth({ mayUse: 'Query.renders' }).prismaConnection(
    {
      type: Render,
      cursor: 'id',
      description: 'The renders of the project, newest first.',
      args: { filter: t.arg({ type: RendersFilter, required: false, description: 'Which ones; all when left out.' }) },
      totalCount: (_connection, { filter }, { services, viewer }) => services.renders.count(filterFrom(filter), viewer),
      resolve: (query, _root, { filter }, { services, viewer }) =>
        services.renders.list(query, filterFrom(filter), viewer),
    },
    {
      name: 'RenderConnection',
      description: 'A page of renders.',
      fields: (c) => ({ totalCount: c.int(totalCountField) }),
    },
    { name: 'RenderEdge', description: 'A render and its cursor.' },
  ),
);

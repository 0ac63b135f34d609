/** Finding anything by its global id. */
import { brandWithType } from '@pothos/core';
import { queryFromInfo } from '@pothos/plugin-prisma';
import type { GraphQLResolveInfo } from 'graphql';
import type { AuthorizedContext } from '../src/context.js';
import { requestError } from '../src/http/errors.js';
import { builder } from './builder.js';
import { decodeId, type NodeType } from './ids.js';
import { maxPageSize } from './pages.js';

type Find = (query: object, id: string, context: AuthorizedContext) => Promise<object | null>;

const finders: Record<NodeType, Find> = {
  ApiKey: (query, id, { services, viewer }) => services.lookups.apiKey(query, id, viewer),
  Archive: (query, id, { services, viewer }) => services.archives.find(query, id, viewer),
  File: (query, id, { services, viewer }) => services.lookups.file(query, id, viewer),
  Job: (query, id, { services, viewer }) => services.jobs.find(query, id, viewer),
  JobTarget: (query, id, { services, viewer }) => services.targets.find(query, id, viewer),
  Participant: (query, id, { services, viewer }) => services.rooms.findParticipant(query, id, viewer),
  Project: (query, id, { services, viewer }) => services.lookups.project(query, id, viewer),
  Recording: (query, id, { services, viewer }) => services.recordingPages.find(query, id, viewer),
  Render: (query, id, { services, viewer }) => services.renders.find(query, id, viewer),
  Room: (query, id, { services, viewer }) => services.rooms.find(query, id, viewer),
  Schedule: (query, id, { services, viewer }) => services.schedules.find(query, id, viewer),
  Session: (query, id, { services, viewer }) => services.sessions.find(query, id, viewer),
  Task: (query, id, { services, viewer }) => services.tasks.find(query, id, viewer),
  WebhookDelivery: (query, id, { services, viewer }) => services.webhooks.find(query, id, viewer),
};

/** Null for what does not exist, is not this viewer's, or is no id at all: from outside these look alike. */
async function findNode(globalId: string, context: AuthorizedContext, info: GraphQLResolveInfo) {
  const decoded = decodeId(globalId);
  if (!decoded) return null;
  const { type, id } = decoded;
  const row = await finders[type](queryFromInfo({ context, info, typeName: type }), id, context);
  if (row) brandWithType(row, type as never);
  return row;
}

const NodeInterface = builder.nodeInterfaceRef();

builder.queryField('node', (t) =>
  t.withAuth({ mayUse: 'Query.node' }).field({
    type: NodeInterface,
    nullable: true,
    description: 'Anything by its global id. Null when there is no such thing.',
    args: { id: t.arg.id({ description: 'The global id.' }) },
    resolve: (_root, { id }, context, info) => findNode(id, context, info) as never,
  }),
);

builder.queryField('nodes', (t) =>
  t.withAuth({ mayUse: 'Query.nodes' }).field({
    type: [NodeInterface],
    nullable: { list: false, items: true },
    description: 'Things by their global ids, in the order asked for; null for what does not exist.',
    args: { ids: t.arg.idList({ description: `The global ids, at most ${maxPageSize}.` }) },
    complexity: ({ ids }) => {
      if (ids.length > maxPageSize)
        throw requestError('BAD_USER_INPUT', `Ask for at most ${maxPageSize} ids at once, not ${ids.length}.`);
      return { field: 1, multiplier: ids.length };
    },
    resolve: (_root, { ids }, context, info) => ids.map((id) => findNode(id, context, info)) as never,
  }),
);

/** Projects, their API keys, and who is asking. */
import { type Scope, scopes, type Viewer } from '../src/auth/viewer.js';
import { viewerOf } from '../src/context.js';
import { NotFoundError, ValidationError } from '../src/services/errors.js';
import { builder } from './builder.js';
import { uuidFrom } from './ids.js';
import { Job } from './job.js';

const ScopeEnum = builder.enumType('Scope', {
  description: 'What credentials may be good for.',
  values: Object.fromEntries(
    Object.entries(scopes).map(([value, description]) => [
      value.toUpperCase().replace(/\W/g, '_'),
      { value: value as Scope, description },
    ]),
  ),
});

const ApiKey = builder.prismaNode('ApiKey', {
  id: { field: 'id', description: 'Global id. Opaque, and lasting.' },
  description: 'A credential of a project. The key itself is shown once, when it is created.',
  select: { id: true },
  fields: (t) => ({
    name: t.exposeString('name', { description: 'As given when it was created.' }),
    prefix: t.exposeString('prefix', { description: 'How the key begins, to recognise it by.' }),
    scopes: t.field({
      type: [ScopeEnum],
      description: 'What it is good for.',
      select: { scopes: true },
      resolve: ({ scopes: granted }) => granted.filter((scope): scope is Scope => Object.hasOwn(scopes, scope)),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was created.' }),
    lastUsedAt: t.expose('lastUsedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was last used, to the minute. Null when it never was.',
    }),
    revokedAt: t.expose('revokedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was revoked. Null when it was not.',
    }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'From when on it is good for nothing, revoked or not. Null when it does not expire.',
    }),
  }),
});

const Project = builder.prismaNode('Project', {
  id: { field: 'id', description: 'Global id. Opaque, and lasting.' },
  description: 'A tenant. Everything belongs to exactly one project, and no project sees anything of another.',
  select: { id: true },
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Its name.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was created.' }),
    apiKeys: t.relatedConnection(
      'apiKeys',
      {
        cursor: 'id',
        nullable: true,
        authScopes: { mayUse: 'Project.apiKeys' },
        query: { orderBy: { id: 'desc' } },
        description: 'Its API keys, newest first, revoked ones too. Null without the scope `keys:write`.',
      },
      { name: 'ApiKeyConnection', description: 'A page of API keys.' },
      { name: 'ApiKeyEdge', description: 'An API key and its cursor.' },
    ),
  }),
});

const ViewerType = builder.objectRef<Viewer>('Viewer').implement({
  description: 'Whoever holds the credentials of this request.',
  fields: (t) => ({
    project: t.prismaField({
      type: Project,
      description: 'The project the credentials belong to.',
      resolve: async (query, viewer, _args, { services }) => {
        const project = await services.lookups.project(query, viewer.projectId, viewer);
        if (!project) throw new NotFoundError('There is no such project any more.');
        return project;
      },
    }),
    scopes: t.field({
      type: [ScopeEnum],
      description: 'What the credentials are good for.',
      resolve: (viewer) => [...viewer.scopes],
    }),
    job: t.prismaField({
      type: Job,
      nullable: true,
      description: 'The only job that is reached, when the credentials are those of a job.',
      resolve: (query, viewer, _args, { services }) =>
        viewer.kind === 'job' ? services.jobs.find(query, viewer.jobId, viewer) : null,
    }),
  }),
});

builder.queryField('viewer', (t) =>
  t.withAuth({ mayUse: 'Query.viewer' }).field({
    type: ViewerType,
    description: 'Whoever is asking.',
    resolve: (_root, _args, { viewer }) => viewer,
  }),
);

const CreateApiKeyInput = builder.inputType('CreateApiKeyInput', {
  description: 'What the new key is called and good for.',
  fields: (t) => ({
    name: t.string({ description: 'Whatever helps to recognise it, 1 to 100 characters.' }),
    scopes: t.field({
      type: [ScopeEnum],
      description: 'What it is good for: at least one, and none that your own credentials lack.',
    }),
    expiresAt: t.field({
      type: 'DateTime',
      required: false,
      description:
        'When it ends by itself: in the future, at most ten years away. Without it the key is good until it is revoked.',
    }),
  }),
});

const CreateApiKeyPayload = builder.objectRef<{ id: string; key: string }>('CreateApiKeyPayload').implement({
  description: 'The key was created.',
  fields: (t) => ({
    apiKey: t.prismaField({
      type: ApiKey,
      description: 'What is known of the key.',
      resolve: (query, { id }, _args, context) => keyNow(query, id, context),
    }),
    key: t.exposeString('key', { description: 'The key itself, shown only here.' }),
  }),
});

builder.mutationField('createApiKey', (t) =>
  t.withAuth({ mayUse: 'Mutation.createApiKey' }).field({
    type: CreateApiKeyPayload,
    description: 'Creates an API key of the project.',
    args: { input: t.arg({ type: CreateApiKeyInput, description: 'What to create.' }) },
    errors: { types: [ValidationError] },
    resolve: (_root, { input }, { services, viewer }) => services.keys.create(input, viewer),
  }),
);

const RevokeApiKeyInput = builder.inputType('RevokeApiKeyInput', {
  description: 'Which key to revoke.',
  fields: (t) => ({ apiKeyId: t.id({ description: 'Global id of the key.' }) }),
});

const RevokeApiKeyPayload = builder.objectRef<{ id: string }>('RevokeApiKeyPayload').implement({
  description: 'The key is good for nothing any more. Open connections that use it are closed within a second.',
  fields: (t) => ({
    apiKey: t.prismaField({
      type: ApiKey,
      description: 'The key as it is now.',
      resolve: (query, { id }, _args, context) => keyNow(query, id, context),
    }),
  }),
});

builder.mutationField('revokeApiKey', (t) =>
  t.withAuth({ mayUse: 'Mutation.revokeApiKey' }).field({
    type: RevokeApiKeyPayload,
    description: 'Revokes an API key of the project, at once and for ever.',
    args: { input: t.arg({ type: RevokeApiKeyInput, description: 'What to revoke.' }) },
    errors: { types: [NotFoundError] },
    resolve: (_root, { input }, { services, viewer }) =>
      services.keys.revoke(uuidFrom(input.apiKeyId, ['ApiKey'], 'API key'), viewer),
  }),
);

async function keyNow(query: object, id: string, context: Parameters<typeof viewerOf>[0]) {
  const key = await context.services.lookups.apiKey(query, id, viewerOf(context));
  if (!key) throw new NotFoundError('There is no such API key any more.');
  return key;
}

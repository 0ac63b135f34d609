/** Which scope of the caller's credentials each guarded field needs: every root field, and what opens other doors. */
import type { Scope } from '../src/auth/viewer.js';

export const scopeOf = {
  'Query.activeStats': 'jobs:read',
  'Query.archive': 'jobs:read',
  'Query.archives': 'jobs:read',
  'Query.job': 'jobs:read',
  'Query.jobs': 'jobs:read',
  'Query.node': 'jobs:read',
  'Query.nodes': 'jobs:read',
  'Query.viewer': 'jobs:read',
  'Query.webhookDeliveries': 'jobs:read',
  'Mutation.beginArchive': 'jobs:write',
  'Mutation.cancelJob': 'jobs:write',
  'Mutation.createApiKey': 'keys:write',
  'Mutation.pauseJob': 'jobs:write',
  'Mutation.resumeJob': 'jobs:write',
  'Mutation.redeliverWebhook': 'jobs:write',
  'Mutation.refinalizeJob': 'jobs:write',
  'Mutation.revokeApiKey': 'keys:write',
  'Mutation.rotateWebhookSecret': 'keys:write',
  'Mutation.startArchive': 'jobs:start',
  'Mutation.stopArchive': 'jobs:write',
  'Subscription.activeStats': 'jobs:read',
  'Subscription.events': 'jobs:read',
  'Subscription.jobEvents': 'jobs:read',
  'Subscription.roomEvents': 'jobs:read',
  'Subscription.jobStats': 'jobs:read',
  'Subscription.sessionStats': 'jobs:read',
  // A signed URL needs no credentials any more.
  'Archive.downloadUrl': 'files:read',
  'Archive.thumbnailUrl': 'files:read',
  'File.downloadUrl': 'files:read',
  'Project.apiKeys': 'keys:write',
} as const satisfies Record<string, Scope>;
export type GuardedField = keyof typeof scopeOf;

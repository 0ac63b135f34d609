/** Who asks, and what that allows: the holder of a project's API key, or of the token of a single job or room. */
import type { RoomScope } from './room-tokens.js';

/** Each scope, in words for documentation and messages. One cut through all kinds of jobs, archives and the rest. */
export const scopes = {
  'jobs:read': 'See jobs, rooms and what belongs to them, and follow their events and statistics.',
  'jobs:start': 'Start jobs.',
  'jobs:write': 'Stop, cancel and change jobs that exist.',
  'files:read': 'Download files.',
  'rooms:write':
    'Make, change and delete rooms, give out tokens for them, see their stream keys, remove and mute who is in them.',
  'keys:write': 'Create and revoke API keys, and replace the secret that callbacks are signed with.',
  admin: 'Everything, now and in later versions.',
} as const satisfies Record<string, string>;
export type Scope = keyof typeof scopes;
export const allScopes = Object.keys(scopes) as Scope[];

/** Of whom nothing but the project matters. */
export type Tenant = Pick<KeyViewer, 'projectId'>;

export type Viewer = KeyViewer | JobViewer | RoomViewer;

export interface KeyViewer {
  kind: 'key';
  projectId: string;
  keyId: string;
  /** All that is granted: `admin` is spelled out. */
  scopes: readonly Scope[];
  /** From then on the key is good for nothing; absent: it does not expire. */
  expiresAt?: Date;
}

/** Sees one job and nothing else, whatever the scopes: every query must be narrowed to `jobId` too. */
export interface JobViewer {
  kind: 'job';
  projectId: string;
  jobId: string;
  scopes: readonly Scope[];
}

/** Sees one room and who is in it, and nothing else of the project, not even what is recorded of that room. */
export interface RoomViewer {
  kind: 'room';
  projectId: string;
  roomId: string;
  identity: string;
  roomScopes: readonly RoomScope[];
  /** Empty: what the token of a room opens is named in schema/scopes.ts, field by field. */
  scopes: readonly Scope[];
  /** From then on the token is good for nothing. */
  expiresAt: Date;
}

/** What a job's own token is good for: that job, but no new one. */
export const jobTokenScopes: readonly Scope[] = ['jobs:read', 'jobs:write', 'files:read'];

/** All that is granted by the scopes of a key; unknown ones, of another version, grant nothing. */
export function grantedBy(given: readonly string[]): Scope[] {
  return given.includes('admin') ? allScopes : given.filter(isScope);
}

export function isScope(text: string): text is Scope {
  return Object.hasOwn(scopes, text);
}

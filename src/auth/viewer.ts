/** Who asks, and what that allows: the holder of a project's API key, or of the token of a single job. */

/** Each scope, in words for documentation and messages. One cut through all kinds of jobs, archives and the rest. */
export const scopes = {
  'jobs:read': 'See jobs and what belongs to them, and follow their events and statistics.',
  'jobs:start': 'Start jobs.',
  'jobs:write': 'Stop, cancel and change jobs that exist.',
  'files:read': 'Download files.',
  'keys:write': 'Create and revoke API keys, and replace the secret that callbacks are signed with.',
  admin: 'Everything, now and in later versions.',
} as const satisfies Record<string, string>;
export type Scope = keyof typeof scopes;
export const allScopes = Object.keys(scopes) as Scope[];

export type Viewer = KeyViewer | JobViewer;

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

/** What a job's own token is good for: that job, but no new one. */
export const jobTokenScopes: readonly Scope[] = ['jobs:read', 'jobs:write', 'files:read'];

/** All that is granted by the scopes of a key; unknown ones, of another version, grant nothing. */
export function grantedBy(given: readonly string[]): Scope[] {
  return given.includes('admin') ? allScopes : given.filter(isScope);
}

export function isScope(text: string): text is Scope {
  return Object.hasOwn(scopes, text);
}

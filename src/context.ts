/** What every operation is executed with, over whichever transport it came. */
import type { Viewer } from './auth/viewer.js';
import type { Database } from './db.js';
import { unauthenticated } from './http/errors.js';
import type { Services } from './services/services.js';

export interface Context {
  /** Who asks; null without credentials. */
  viewer: Viewer | null;
  services: Services;
  /** Only for the schema builder, which loads relations with it. Resolvers call services. */
  database: Database;
  /** Names this operation in logs and in its errors. */
  requestId: string;
  /** Ends the operation's streams: the credentials were revoked, or the server stops. */
  ending: AbortController;
}

/** The context of a field whose scope was checked. */
export type AuthorizedContext = Context & { viewer: Viewer };

/** The viewer, in fields below a checked root field; throws UNAUTHENTICATED when there is none. */
export function viewerOf(context: Context): Viewer {
  if (!context.viewer) throw unauthenticated();
  return context.viewer;
}

/** What the address of a page says: which room, who, and how. */
import { isLayout, type Layout, layouts } from './layout.js';

export interface Link {
  token: string;
  layout: Layout;
  /** From the token, unverified: for show only, the server goes by its own reading. */
  name: string;
  /** Likewise. */
  mayPublish: boolean;
  /** Media ids that are not to be shown here. */
  hidden: ReadonlySet<string>;
  options: URLSearchParams;
}

/** The address lacks something or asks for something unknown; the message is for whoever opened it. */
export class LinkError extends Error {
  override name = 'LinkError';
}

/** Throws LinkError. */
export function readLink(search: string): Link {
  const options = new URLSearchParams(search);
  const missing = ['sessionId', 'token', 'apiKey'].filter((name) => !options.get(name));
  if (missing.length > 0) {
    throw new LinkError(
      `This link is incomplete: ${missing.join(', ')} ${missing.length > 1 ? 'are' : 'is'} missing. Ask for a new one.`,
    );
  }
  const env = options.get('env') ?? 'default';
  if (env !== 'default')
    throw new LinkError(`There is no media server "${env}" here. Leave env out, or use "default".`);
  const layout = options.get('layout') ?? 'grid';
  if (!isLayout(layout)) throw new LinkError(`There is no layout "${layout}". Choose one of ${layouts.join(', ')}.`);
  const token = options.get('token') as string;
  const claims = readClaims(token);
  return {
    ...{ token, layout, options },
    name: typeof claims.name === 'string' ? claims.name : '',
    mayPublish: !Array.isArray(claims.scopes) || claims.scopes.includes('publish'),
    hidden: new Set(Array.isArray(claims.hidden) ? claims.hidden.filter((each) => typeof each === 'string') : []),
  };
}

/** Where the page's server takes signalling. Who only watches is not seen by others, whatever the token allows. */
export function signallingUrl(
  location: { protocol: string; host: string },
  token: string,
  onlyWatches: boolean,
): string {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  const query = new URLSearchParams(onlyWatches ? { token, watch: 'true' } : { token });
  return `${scheme}://${location.host}/rtc?${query}`;
}

/** Empty for what is no token: the server will say so. */
function readClaims(token: string): Record<string, unknown> {
  try {
    const payload = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof claims === 'object' && claims !== null ? (claims as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

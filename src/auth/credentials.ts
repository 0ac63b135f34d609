/** Where a request carries its token: in HTTP headers, or in the parameters of a WebSocket connection. */

export type Credentials =
  | { kind: 'none' }
  | { kind: 'token'; token: string }
  /** Something was sent that cannot be read: `message` says what was expected. */
  | { kind: 'malformed'; message: string };

const expected = 'Send `Authorization: Bearer <token>`, or the token alone as `x-access-token`.';

/** Reads `Authorization: Bearer …` and `x-access-token`. `header` answers a header's value by its lower-case name. */
export function credentialsFromHeaders(header: (name: string) => string | string[] | null | undefined): Credentials {
  return read(header('authorization'), header('x-access-token'));
}

/** Reads `authorization` or `x-access-token`, in any case, with or without `Bearer`: browsers cannot set WebSocket headers. */
export function credentialsFromConnectionParams(params: unknown): Credentials {
  if (params === null || params === undefined) return { kind: 'none' };
  if (typeof params !== 'object') return { kind: 'malformed', message: 'The connection parameters are not an object.' };
  const byName = new Map(Object.entries(params).map(([name, value]) => [name.toLowerCase(), value as unknown]));
  const authorization = byName.get('authorization');
  const isBare =
    typeof authorization === 'string' && /^\s*[^\s]+\s*$/.test(authorization) && !/^\s*bearer\s*$/i.test(authorization);
  return read(isBare ? `Bearer ${authorization.trim()}` : authorization, byName.get('x-access-token'));
}

function read(authorization: unknown, accessToken: unknown): Credentials {
  const found = new Set<string>();
  if (isGiven(authorization)) {
    const token = typeof authorization === 'string' ? /^\s*bearer +([^\s,]+)\s*$/i.exec(authorization)?.[1] : undefined;
    if (!token) return { kind: 'malformed', message: `The authorization is not a bearer token. ${expected}` };
    found.add(token);
  }
  if (isGiven(accessToken)) {
    const token = typeof accessToken === 'string' ? /^\s*([^\s,]+)\s*$/.exec(accessToken)?.[1] : undefined;
    if (!token) return { kind: 'malformed', message: `x-access-token is not one token. ${expected}` };
    found.add(token);
  }
  const [token, another] = found;
  if (another) return { kind: 'malformed', message: `Two different tokens were sent. ${expected}` };
  return token ? { kind: 'token', token } : { kind: 'none' };
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}

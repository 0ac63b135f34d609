/** Downloads by HTTP: `/files/<id>` and `/files/<id>/<name>`, with byte ranges. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { basename, dirname } from 'node:path';
import send from 'send';
import type { Authenticator } from '../auth/authenticate.js';
import { credentialsFromHeaders } from '../auth/credentials.js';
import type { FileAccess, Files, OpenedFile } from '../services/files.js';
import { StorageUnavailableError } from './storage.js';

export interface DownloadsOptions {
  files: Files;
  authenticator: Authenticator;
  /** Told of failures that no client should see. */
  onError: (error: unknown) => void;
}

export type DownloadHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/**
 * Makes the handler of everything below `/files/`. Access by signed URL, by `?token=` (an API key or a job's token), or by
 * header, with scope `files:read`. Refusals are JSON: `{ error: { code, message } }`.
 */
export function createDownloadHandler({ files, authenticator, onError }: DownloadsOptions): DownloadHandler {
  /** Null: credentials were sent, but they are not good. */
  async function accessOf(request: IncomingMessage, query: URLSearchParams): Promise<FileAccess | null> {
    const [kid, exp, sig] = [query.get('kid'), query.get('exp'), query.get('sig')];
    if (kid !== null || exp !== null || sig !== null) {
      return { by: 'signature', signature: { kid: kid ?? '', exp: exp ?? '', sig: sig ?? '' } };
    }
    const sent = credentialsFromHeaders((name) => request.headers[name]);
    if (sent.kind === 'malformed') return null;
    const token = sent.kind === 'token' ? sent.token : query.get('token');
    if (token === null) return { by: 'nothing' };
    const viewer = await authenticator.authenticate(token);
    return viewer && { by: 'viewer', viewer };
  }

  return async function handleDownload(request, response) {
    try {
      if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 'not-readable');
      const [path = '', search] = (request.url ?? '').split('?');
      const query = new URLSearchParams(search);
      const id = /^\/files\/([^/]+)(\/[^/]*)?$/.exec(path)?.[1];
      if (!id) return refuse(response, 'not-a-file');
      const access = await accessOf(request, query);
      if (!access) return refuse(response, 'unauthenticated');
      const opened = await files.open(id, access, { inline: query.get('inline') === '1' });
      if (opened.kind === 'open') return serve(request, response, opened, onError);
      refuse(response, opened.kind, opened.kind === 'forbidden' ? opened.message : undefined);
    } catch (error) {
      onError(error);
      refuse(response, error instanceof StorageUnavailableError ? 'away' : 'failed');
    }
  };
}

function serve(
  request: IncomingMessage,
  response: ServerResponse,
  { file, disposition, stored }: Extract<OpenedFile, { kind: 'open' }>,
  onError: (error: unknown) => void,
): void {
  // Credentials may be part of the address: it must not travel on to other places.
  response.setHeader('referrer-policy', 'no-referrer');
  if (stored.kind === 'redirect') {
    response.setHeader('cache-control', 'no-store');
    response.writeHead(302, { location: stored.url }).end();
    return;
  }
  response.setHeader('content-type', file.mediaType);
  response.setHeader('content-disposition', disposition);
  response.setHeader('x-content-type-options', 'nosniff');
  // Kept by the client alone, and asked about each time: it may have been deleted or replaced.
  response.setHeader('cache-control', 'private, no-cache');
  // The hash of the contents, so that a range goes on only in the very same file, on whichever replica.
  response.setHeader('etag', `"${Buffer.from(file.sha256).toString('base64url')}"`);
  response.setHeader('last-modified', file.createdAt.toUTCString());
  send(request, encodeURIComponent(basename(stored.path)), {
    root: dirname(stored.path),
    index: false,
    dotfiles: 'allow',
  })
    .on('error', (error: Error & { status?: number; headers?: Record<string, string> }) => {
      const known = failuresOfSending[error.status ?? 500];
      if (!known) onError(error);
      if (error.headers?.['Content-Range']) response.setHeader('content-range', error.headers['Content-Range']);
      refuse(response, known ?? 'failed');
    })
    .pipe(response);
}

const refusals = {
  unauthenticated: [
    401,
    'UNAUTHENTICATED',
    'This needs valid credentials. Use the download URL that the API gives, or send an API key or job token as `Authorization: Bearer …`.',
  ],
  forbidden: [403, 'FORBIDDEN', 'These credentials do not allow this.'],
  'not-a-file': [404, 'NOT_FOUND', 'There is nothing here. Files are at /files/<id>/<name>.'],
  'not-found': [404, 'NOT_FOUND', 'There is no such file, or these credentials do not reach it.'],
  'not-readable': [405, 'METHOD_NOT_ALLOWED', 'Files can only be read. Use GET or HEAD.'],
  gone: [410, 'GONE', 'This file was deleted.'],
  missing: [
    404,
    'NOT_IN_STORAGE',
    'This file was not deleted, but the storage does not have it. Whoever runs this service should see that nothing else removes files there, and that API and recorders use the same storage.',
  ],
  'wrong-version': [
    412,
    'PRECONDITION_FAILED',
    'The file is not the one that was expected. Fetch it from its beginning.',
  ],
  'wrong-range': [416, 'RANGE_NOT_SATISFIABLE', 'The file is shorter than that. Ask for a range within it.'],
  away: [503, 'UNAVAILABLE', 'The storage of this file does not answer at the moment. Try again in a few seconds.'],
  failed: [500, 'INTERNAL', 'Unexpected error. Try again; if it stays, whoever runs this service finds it in the log.'],
} as const;
type Refusal = keyof typeof refusals;

/** A bucket that restarts is back by then. */
const retryAfterSeconds = 5;

/** By what status sending a file fails, and what that means here. */
const failuresOfSending: Partial<Record<number, Refusal>> = {
  404: 'missing',
  412: 'wrong-version',
  416: 'wrong-range',
};

function refuse(response: ServerResponse, refusal: Refusal, detail?: string): void {
  // In the middle of a file there is no other way to say that it is not whole.
  if (response.headersSent) return void response.destroy();
  const [status, code, message] = refusals[refusal];
  for (const name of ['content-disposition', 'etag', 'last-modified', 'accept-ranges']) response.removeHeader(name);
  if (status === 401) response.setHeader('www-authenticate', 'Bearer');
  if (status === 405) response.setHeader('allow', 'GET, HEAD');
  if (status === 503) response.setHeader('retry-after', retryAfterSeconds);
  const body = `${JSON.stringify({ error: { code, message: detail ?? message } })}\n`;
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  };
  response.writeHead(status, headers).end(body);
}

/**
 * Playback by HTTP, for players on any site: `/play/<playbackId>.m3u8` and what it names below `/play/<playbackId>/`, and
 * playlists that are files at `/play/files/<id>/<what opens it>/<name>`, with what they name beside them.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { basename, dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import send from 'send';
import type { Files, OpenedFile } from '../services/files.js';
import type { Playback, Played as PlayedBack } from '../services/playback.js';

type Played = PlayedBack | Extract<OpenedFile, { kind: 'open' }>;

/** A playlist that is a file, and what lies beside it: its id, what opens it, and a name. */
const filePattern = /^\/play\/files\/([0-9a-f-]{36})\/([A-Za-z0-9_.-]{1,128})\/([^/]{1,256})$/;
const pattern = /^\/play\/([A-Za-z0-9_-]{8,64})(?:\.m3u8|\/([A-Za-z0-9_.-]{1,128}))$/;
const passedOn = ['content-length', 'content-range', 'accept-ranges', 'etag', 'last-modified'];

/** Whoever has a playback id, or the address of a playlist, may play. Answers 404 where nothing is recorded yet, or not for them. */
export function createPlayHandler({ playback, files }: { playback: Playback; files: Pick<Files, 'openPlayed'> }) {
  async function find(path: string): Promise<Played | null> {
    const [, id, right, name] = filePattern.exec(path) ?? [];
    if (id && right && name) {
      const opened = await files.openPlayed(id, right, decoded(name));
      return opened.kind === 'open' ? opened : null;
    }
    const [, playbackId, piece] = pattern.exec(path) ?? [];
    if (!playbackId) return null;
    return piece ? playback.file(playbackId, piece) : playback.master(playbackId);
  }

  return async function handlePlay(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('Access-Control-Allow-Origin', '*');
    response.setHeader('Access-Control-Expose-Headers', 'Content-Length, Content-Range, Date');
    // The id opens what it names: it is nothing for the logs of others.
    response.setHeader('Referrer-Policy', 'no-referrer');
    if (request.method === 'OPTIONS') {
      const allowed = { 'Access-Control-Allow-Methods': 'GET, HEAD', 'Access-Control-Allow-Headers': 'Range' };
      response.writeHead(204, { ...allowed, 'Access-Control-Max-Age': '86400' }).end();
      return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(response, 405, 'method not allowed');
    const played = await find(path);
    if (!played) return answer(response, 404, 'not found');
    if (played.kind === 'bytes') serveBytes(request, response, played);
    else await serveFile(request, response, played);
  };
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return '';
  }
}

function serveBytes(
  request: IncomingMessage,
  response: ServerResponse,
  { mediaType, bytes, isLasting }: Extract<Played, { kind: 'bytes' }>,
): void {
  response.writeHead(200, {
    'Content-Type': mediaType,
    'Content-Length': bytes.length,
    'Cache-Control': isLasting ? 'public, max-age=3600, immutable' : 'no-cache',
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

async function serveFile(
  request: IncomingMessage,
  response: ServerResponse,
  { file, stored }: Extract<Played, { kind: 'file' | 'open' }>,
): Promise<void> {
  response.setHeader('Content-Type', file.mediaType);
  // Asked about each time: it may have been deleted, or made again.
  response.setHeader('Cache-Control', 'public, no-cache');
  if (stored.kind === 'redirect') return passOn(request, response, stored.url);
  response.setHeader('ETag', `"${Buffer.from(file.sha256).toString('base64url')}"`);
  response.setHeader('Last-Modified', file.createdAt.toUTCString());
  await new Promise<void>((resolve) => {
    response.once('close', resolve);
    send(request, encodeURIComponent(basename(stored.path)), {
      ...{ root: dirname(stored.path), index: false, dotfiles: 'allow' },
    })
      .on('error', ({ status = 404 }: { status?: number }) => answer(response, status, 'not playable'))
      .pipe(response);
  });
}

/** Through us, since a bucket would have to be told to let pages of any site read from it. */
async function passOn(request: IncomingMessage, response: ServerResponse, url: string): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const { range } = request.headers;
  const found = await fetch(url, { headers: range ? { range } : {}, signal: gone.signal });
  if (!found.ok) return answer(response, found.status === 416 ? 416 : 404, 'not playable');
  const kept = passedOn.flatMap((name) => {
    const value = found.headers.get(name);
    return value === null ? [] : [[name, value] as const];
  });
  response.writeHead(found.status, Object.fromEntries(kept));
  if (request.method === 'HEAD' || !found.body) {
    await found.body?.cancel();
    response.end();
    return;
  }
  await pipeline(Readable.fromWeb(found.body as never), response).catch(() => response.destroy());
}

function answer(response: ServerResponse, status: number, text: string): void {
  if (response.headersSent) return void response.destroy();
  response.setHeader('Cache-Control', 'no-store');
  response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8' });
  response.end(`${JSON.stringify({ status: text })}\n`);
}

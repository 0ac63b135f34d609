/** The viewer and the publish page: their HTML, and the scripts and styles they are bundled from. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';

const pages: ReadonlyMap<string, string> = new Map([
  ['/viewer', 'viewer.html'],
  ['/publish', 'publish.html'],
]);

/** All there is below /web/, so that no name can lead anywhere else. */
const assets: ReadonlyMap<string, string> = new Map([
  ['/web/viewer.js', 'text/javascript; charset=utf-8'],
  ['/web/viewer.css', 'text/css; charset=utf-8'],
  ['/web/publish.js', 'text/javascript; charset=utf-8'],
  ['/web/publish.css', 'text/css; charset=utf-8'],
]);

/** Where `scripts/generate.mjs` puts the bundles, below the project folder. */
const bundleFolder = join('build', 'web');

const hostPattern = /^[\w.-]+(:\d{1,5})?$|^\[[\da-fA-F:.]+\](:\d{1,5})?$/;

/** Answers a request for a page or an asset; false when the path is none of them. */
export function createWebPages(projectRoot: string) {
  return async (path: string, request: IncomingMessage, response: ServerResponse): Promise<boolean> => {
    const page = pages.get(path);
    const type = assets.get(path);
    if (page) await sendPage(join(projectRoot, 'web', page), request, response);
    else if (type)
      await sendAsset(join(projectRoot, bundleFolder, path.slice('/web/'.length)), type, request, response);
    else return false;
    return true;
  };
}

/** Read anew each time, so that editing it shows. */
async function sendPage(file: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const html = await readFile(file);
  // The address holds a token: it is neither kept nor told to anybody.
  response.setHeader('Cache-Control', 'no-store');
  response.setHeader('Referrer-Policy', 'no-referrer');
  response.setHeader('Content-Security-Policy', contentSecurityPolicy(request.headers.host));
  response.setHeader('Permissions-Policy', 'camera=(self), microphone=(self), display-capture=(self), autoplay=(self)');
  send(request, response, html, 'text/html; charset=utf-8');
}

async function sendAsset(file: string, type: string, request: IncomingMessage, response: ServerResponse) {
  const content = await readFile(file);
  const etag = `"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`;
  response.setHeader('ETag', etag);
  response.setHeader('Cache-Control', 'no-cache');
  if (request.headers['if-none-match'] === etag) response.writeHead(304).end();
  else send(request, response, content, type);
}

function send(request: IncomingMessage, response: ServerResponse, content: Buffer, type: string): void {
  response.writeHead(200, { 'Content-Type': type, 'Content-Length': content.length });
  response.end(request.method === 'HEAD' ? undefined : content);
}

/** Ourselves and nobody else. Not every browser counts a WebSocket to the same host among 'self'. */
function contentSecurityPolicy(host: string | undefined): string {
  const sockets = host && hostPattern.test(host) ? ` ws://${host} wss://${host}` : '';
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    `connect-src 'self'${sockets}`,
    'img-src data:',
    'media-src blob:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

/** The few pages served beside the API. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';

export type PageHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** Nothing from elsewhere, and no forms: what a page needs more, it says itself in its own policy. */
const contentSecurityPolicy =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; media-src blob: data:; frame-ancestors 'none'";

const startPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Tapedeck</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 16px/1.6 system-ui, sans-serif; max-width: 36rem; margin: 12vh auto; padding: 0 1.5rem; }
  h1 { font-size: 1.6rem; margin: 0 0 .25rem; }
  dt { font-weight: 600; margin-top: 1rem; } dd { margin: 0; }
</style>
<h1>Tapedeck</h1>
<p>Records live pages: a GraphQL API with realtime subscriptions over durable recording jobs.</p>
<dl>
  <dt><a href="/graphql">/graphql</a></dt><dd>The API. In a browser, GraphiQL.</dd>
  <dt><a href="/demo">/demo</a></dt><dd>A page to record: a moving clock, a frame counter and a tone.</dd>
  <dt><a href="/health">/health</a>, <a href="/ready">/ready</a></dt><dd>Whether the process lives, and whether it can serve.</dd>
</dl>
</html>
`;

export const serveStartPage: PageHandler = async (request, response) => sendPage(request, response, startPage);

/** A page that is one file; read anew each time, so that editing it shows. */
export function createFilePage(path: string): PageHandler {
  return async (request, response) => sendPage(request, response, await readFile(path, 'utf8'));
}

function sendPage(request: IncomingMessage, response: ServerResponse, html: string): void {
  const etag = `"${createHash('sha256').update(html).digest('base64url').slice(0, 22)}"`;
  response.setHeader('ETag', etag);
  response.setHeader('Cache-Control', 'no-cache');
  response.setHeader('Content-Security-Policy', contentSecurityPolicy);
  response.setHeader('Referrer-Policy', 'no-referrer');
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304).end();
    return;
  }
  response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', 'Content-Length': Buffer.byteLength(html) });
  response.end(request.method === 'HEAD' ? undefined : html);
}

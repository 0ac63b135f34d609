/** The GraphiQL page: one file with everything in it, so that it works without the internet. */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { renderGraphiQL } from '@graphql-yoga/render-graphiql';

const queries = (publicUrl: string) => `# Tapedeck records live pages. Press the play button and choose an operation.
# Credentials belong into the "Headers" tab below: \`npm start\` prints a development key.

mutation Start {
  startArchive(input: { url: "${publicUrl}/demo", width: 1280, height: 720, maxDuration: 60 }) {
    __typename
    ... on StartArchivePayload {
      accessToken
      archive { id status }
    }
    ... on Error { code message }
  }
}

# Paste the id of an archive: its state comes first, then every change as it happens.
subscription Follow($id: ID!) {
  jobEvents(jobId: $id) {
    __typename
    cursor
    sequence
    ... on JobStateChanged { state reason message }
    job { state progress archive { downloadUrl } }
  }
}

subscription Watch($id: ID!) {
  jobStats(jobId: $id) { fps bitrate size position progress }
}

query List {
  archives(first: 10) {
    totalCount
    nodes { id name url status duration size downloadUrl gaps { lost cause } }
  }
}
`;

const page = (publicUrl: string) =>
  renderGraphiQL({
    title: 'Tapedeck',
    defaultQuery: queries(publicUrl),
    // Empty counts as no credentials, with which the schema can be read; a made-up key would be refused.
    headers: JSON.stringify({ authorization: '' }, null, 2),
    defaultEditorToolsVisibility: 'headers',
    // GraphiQL's WebSocket client cannot send the headers typed in the editor; with server-sent events they arrive.
    subscriptionsProtocol: 'SSE',
  });

const compress = promisify(gzip);

interface PreparedPage {
  zipped: Buffer;
  etag: string;
}

/** Answers with the page, made once: 9 MB, 2.4 MB on the way, and nothing at all when the browser has it. */
export function createGraphiqlPage(publicUrl: string) {
  let prepared: Promise<PreparedPage> | undefined;
  async function prepare(): Promise<PreparedPage> {
    const zipped = await compress(page(publicUrl));
    return { zipped, etag: `"${createHash('sha256').update(zipped).digest('base64url').slice(0, 22)}"` };
  }
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    prepared ??= prepare();
    const { zipped, etag } = await prepared;
    response.setHeader('ETag', etag);
    response.setHeader('Cache-Control', 'no-cache');
    response.setHeader('Vary', 'Accept, Accept-Encoding');
    response.setHeader('Content-Security-Policy', contentSecurityPolicy);
    if (request.headers['if-none-match'] === etag) {
      response.writeHead(304).end();
      return;
    }
    const zips = request.headers['accept-encoding']?.includes('gzip') ?? false;
    const body = zips ? zipped : Buffer.from(page(publicUrl));
    if (zips) response.setHeader('Content-Encoding', 'gzip');
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', 'Content-Length': body.length });
    response.end(request.method === 'HEAD' ? undefined : body);
  };
}

// Everything is inline, the editor's workers are blobs, its fonts data; nothing may be asked of anybody else.
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'unsafe-inline' 'unsafe-eval' blob:",
  "style-src 'unsafe-inline'",
  'worker-src blob:',
  'img-src data: blob:',
  'font-src data:',
  "connect-src 'self'",
  "frame-ancestors 'none'",
].join('; ');

/** Whether a request to the endpoint is a browser that wants to see a page. */
export function wantsGraphiql(request: IncomingMessage): boolean {
  const reads = request.method === 'GET' || request.method === 'HEAD';
  return reads && (request.headers.accept?.includes('text/html') ?? false);
}

/** Serves a page to a recorder without the rest of the service. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The test card, unless told which other file. Listens on a free port of 127.0.0.1. */
export async function serveDemoPage(
  file = '../web/demo.html',
): Promise<{ url: string; host: string; close: () => void }> {
  const page = readFileSync(new URL(file, import.meta.url));
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url: `http://${host}/demo`, host, close: () => server.close() };
}

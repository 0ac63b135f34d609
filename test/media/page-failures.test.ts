import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type HostOutcome, hostFiles } from '../../src/jobs/capture.js';
import { readStatus } from '../../worker/host/client.js';
import { decode, type HostSettings, hostOn, livePage, servePages } from '../testkit/host.js';

const tag = (script: string) => `<!doctype html><script>${script}</script>`;

describe('a page that never gets ready is given up after one reload, with its picture and its console:', () => {
  test.each<{ what: string; path: string; reason: string; words: RegExp; settings?: HostSettings }>([
    { what: 'status 404', path: '/missing', reason: 'PAGE_HTTP_ERROR', words: /404/ },
    { what: 'no answer', path: '/silent', reason: 'PAGE_LOAD_TIMEOUT', words: /did not answer within 2 s/ },
    { what: 'an endless script', path: '/busy', reason: 'PAGE_LOAD_TIMEOUT', words: /did not become ready/ },
    { what: 'no START_RECORDING', path: '/mute', reason: 'PAGE_LOAD_TIMEOUT', words: /did not become ready/ },
    { what: 'a page that closes itself', path: '/closing', reason: 'PAGE_CLOSED', words: /before recording began/ },
    { what: 'a download instead of a page', path: '/download', reason: 'PAGE_UNREACHABLE', words: /ERR_ABORTED/ },
    { what: 'a redirect to a refused address', path: '/away', reason: 'URL_REFUSED', words: /10\.1\.2\.3/ },
  ])('$what', async ({ path, reason, words }) => {
    const requests: string[] = [];
    const url = await servePages({
      '/silent': (request) => requests.push(request.url ?? ''),
      '/busy': tag('console.log("about to hang"); for (;;);'),
      '/mute': livePage('<meta name="tapedeck-start" content="signal">'),
      '/closing': tag('window.close()'),
      '/download': (_, response) =>
        response.writeHead(200, { 'content-disposition': 'attachment; filename=x.bin' }).end('x'),
      '/away': (_, response) => response.writeHead(302, { location: 'http://10.1.2.3/' }).end(),
    });
    const host = await hostOn(url + path, { loadTimeoutMs: path === '/missing' ? 20_000 : 2_000 });
    expectFailure(await host.outcome(), reason, words);
    expect(isPng(join(host.folder, hostFiles.screenshot))).toBe(true);
    expect(readFileSync(join(host.folder, hostFiles.console), 'utf8')).toMatch(/attempt 2 of 2/);
    expect(host.leftovers()).toEqual([]);
  });

  test('nobody listening', async () => {
    const host = await hostOn('http://127.0.0.1:1/');
    expectFailure(await host.outcome(), 'PAGE_UNREACHABLE', /127\.0\.0\.1:1/);
  });

  test('an address that recordings may not reach', async () => {
    const url = await servePages({ '/': livePage() });
    const host = await hostOn(`${url}/`, { egress: { allowedNetworks: [] } });
    expectFailure(await host.outcome(), 'URL_REFUSED', /127\.0\.0\.1/);
    expect(readStatus(host.folder)?.refused.join()).toMatch(/127\.0\.0\.1/);
  });

  test('a local file', async () => {
    const host = await hostOn('file:///etc/passwd');
    expectFailure(await host.outcome(), 'URL_REFUSED', /Only http and https/);
  });
});

test('a page that crashes while it loads gets one more chance', async () => {
  let loads = 0;
  const url = await servePages({
    '/': (_, response) => {
      loads += 1;
      response.writeHead(200, { 'content-type': 'text/html' });
      // The first load stays unfinished until its renderer is killed.
      if (loads === 1) response.write('<p>almost there');
      else response.end(livePage());
    },
  });
  const host = await hostOn(`${url}/`);
  while (loads === 0) await new Promise((resolve) => setTimeout(resolve, 50));
  for (const pid of host.browserProcesses('renderer')) process.kill(pid, 'SIGKILL');
  await host.entry('first-frame', 1);
  expect(loads).toBe(2);
  expect(readFileSync(join(host.folder, hostFiles.console), 'utf8')).toMatch(/attempt 1 of 2: The page crashed/);
});

test('a page that closes itself during the recording ends it, and what was recorded is kept', async () => {
  const url = await servePages({ '/': livePage('<script>setTimeout(() => window.close(), 3000)</script>') });
  const host = await hostOn(`${url}/`);
  expectFailure(await host.outcome(), 'PAGE_CLOSED', /closed itself/);
  expect((await decode(host.part(1))).durationMs).toBeGreaterThan(500);
  expect(host.leftovers()).toEqual([]);
});

test('a console that floods is kept to 1 MB', async () => {
  const flood =
    '<script>setInterval(() => { for (let i = 0; i < 200; i += 1) console.log("x".repeat(1900)) }, 20)</script>';
  const url = await servePages({ '/': livePage(flood) });
  const host = await hostOn(`${url}/`, { maxDurationMs: 2_000 });
  expect(await host.outcome()).toEqual({ kind: 'max-duration' });
  expect(readFileSync(join(host.folder, hostFiles.console)).length).toBeLessThan(1_100_000);
});

function expectFailure(outcome: HostOutcome, reason: string, words: RegExp): void {
  expect(outcome).toMatchObject({ kind: 'failed', failure: { reason, message: expect.stringMatching(words) } });
}

function isPng(file: string): boolean {
  return readFileSync(file).subarray(1, 4).toString() === 'PNG';
}

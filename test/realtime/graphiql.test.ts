import puppeteer, { type Browser } from 'puppeteer';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { loadConfig } from '../../src/config.js';
import { createDatabase, type Database } from '../../src/db.js';
import { findProgram } from '../../worker/capture/child.js';
import { happen } from '../testkit/happen.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';

let browser: Browser;
let db: Database;
beforeAll(async () => {
  browser = await puppeteer.launch({
    executablePath: findProgram(loadConfig().recorder.chromium),
    args: ['--no-sandbox'],
  });
  db = createDatabase(inject('stack').databaseUrl);
});
afterAll(async () => {
  await browser.close();
  await db.$disconnect();
});

test('GraphiQL runs a subscription in a browser, with the key from its header editor and nothing from elsewhere', async () => {
  const { url } = inject('stack');
  const projectId = await createProject(db);
  const jobId = await createJobRow(db, projectId, 'COMPLETE');
  const headers = JSON.stringify({ authorization: `Bearer ${await createKey(db, projectId)}` });

  const page = await browser.newPage();
  const outside: string[] = [];
  const problems: string[] = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !/^(data|blob):/.test(request.url())) outside.push(request.url());
  });
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  await page.evaluateOnNewDocument((value) => localStorage.setItem('graphiql:headers', value), headers);
  const query = `subscription { jobEvents(jobId: "${encodeId('Job', jobId)}") { __typename sequence } }`;
  await page.goto(`${url}/graphql?${new URLSearchParams({ query })}`);
  const run = await page.waitForSelector('button.graphiql-execute-button');
  await run?.click();
  const shown = (text: string) =>
    page.waitForFunction(
      (wanted) => document.querySelector('.graphiql-response')?.textContent?.includes(wanted),
      {},
      text,
    );
  await shown('JobSnapshot');
  await happen(db, jobId);
  await shown('JobFileAdded');
  expect(problems).toEqual([]);
  expect(outside).toEqual([]);
  await page.close();
});

test('GraphiQL is sent compressed, and not again while it is the same', async () => {
  const address = `${inject('stack').url}/graphql`;
  const headers = { accept: 'text/html', 'accept-encoding': 'gzip' };
  const first = await fetch(address, { headers });
  await first.body?.cancel();
  expect(first.headers.get('content-encoding')).toBe('gzip');
  expect(Number(first.headers.get('content-length'))).toBeLessThan(3_000_000);
  const again = await fetch(address, { headers: { ...headers, 'if-none-match': first.headers.get('etag') ?? '' } });
  expect(again.status).toBe(304);
});

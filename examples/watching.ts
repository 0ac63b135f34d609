/** What the examples with other libraries share: their command line, their connection, and how an event is found and shown. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Client } from 'graphql-ws';
import { WebSocket } from 'ws';
import { createClientWithHeartbeat } from './client/heartbeat.js';

export interface WatchOptions {
  /** Where the service runs, without a trailing slash. */
  url: string;
  key: string;
  /** Global id of a job or of its archive; without one, the whole project is watched. */
  jobId: string | undefined;
}

/** Reads the command line, and ends the process when it is not usable. */
export function watchOptions(): WatchOptions {
  const { values, positionals } = parseArgs({
    options: { url: { type: 'string', default: 'http://127.0.0.1:4000' }, key: { type: 'string' } },
    allowPositionals: true,
  });
  if (!values.key) {
    console.error('Usage: watch.ts --key <API key> [--url <service>] [id of a job or archive]');
    process.exit(2);
  }
  return { url: values.url.replace(/\/$/, ''), key: values.key, jobId: positionals[0] };
}

const refused = 4403;
const firstPauseMs = 100;
const longestPauseMs = 10_000;

/** A connection that is made again whenever it is lost or has gone silent, unless the key is not good. */
export function connect({ url, key }: WatchOptions): Client {
  return createClientWithHeartbeat({
    url: `${url.replace(/^http/, 'ws')}/graphql`,
    connectionParams: { authorization: `Bearer ${key}` },
    webSocketImpl: WebSocket,
    retryAttempts: Number.POSITIVE_INFINITY,
    retryWait: (attempt) => sleep(Math.min(firstPauseMs * 2 ** attempt, longestPauseMs) * (0.5 + Math.random())),
    // Also when nobody listens yet, which the library takes for final unless told.
    shouldRetry: (event) => (event as { code?: number }).code !== refused,
  });
}

/** What ended a subscription as an error: graphql-ws tells the event that closed the socket, or a list of errors. */
export function errorOf(reason: unknown): Error {
  if (reason instanceof Error) return reason;
  if (Array.isArray(reason)) return new Error(reason.map(({ message }) => message).join('\n'));
  const { code, reason: why } = reason as { code?: number; reason?: string };
  return new Error(`The connection was closed: ${why || 'no reason was given'} (${code}).`);
}

/** What every item of every stream of events has, when the document selects it. */
export interface Event {
  __typename: string;
  cursor: string;
  sequence: number;
  occurredAt: string;
}

/** The event in the result of a subscription; undefined for what is none, such as statistics. */
export function eventIn(data: object | null | undefined): Event | undefined {
  return Object.values(data ?? {}).find((value) => typeof value?.cursor === 'string');
}

export function show({ __typename, sequence, occurredAt, ...more }: Event & { job?: { state: string } | null }): void {
  console.log(occurredAt, __typename, sequence, more.job?.state ?? '');
}

/** What the egress proxy says by itself: to the browser as headers and a small page, to the recorder as a line of text. */
import { STATUS_CODES } from 'node:http';
import { AddressRefusedError, UnreachableError } from './refusal.js';

export interface ProxyAnswer {
  status: 400 | 403 | 502;
  headers: Record<string, string>;
  body: string;
}

/** The answer to a request that failed with `error`, whose target was refused or could not be reached. */
export function answerTo(error: unknown): ProxyAnswer {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof AddressRefusedError) {
    return answer(403, 'Tapedeck does not record from this address', message, {
      'x-tapedeck-refused': headerText(message),
    });
  }
  const why = error instanceof UnreachableError ? message : `The server did not answer as expected: ${message}.`;
  return answer(502, 'Tapedeck could not reach this address', why, { 'x-tapedeck-unreachable': headerText(why) });
}

/** The answer to a request that no forward proxy can serve. */
export function answerToMisuse(message: string): ProxyAnswer {
  return answer(400, 'This is a forward proxy', message, {});
}

/** An answer as bytes on a connection that is not HTTP's any more. */
export function toBytes({ status, headers, body }: ProxyAnswer): string {
  const lines = Object.entries({ ...headers, connection: 'close' }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`;
}

function answer(
  status: ProxyAnswer['status'],
  title: string,
  message: string,
  extra: Record<string, string>,
): ProxyAnswer {
  const body = `<!doctype html><meta charset="utf-8"><title>${title}</title><h1>${title}</h1><p>${escapeHtml(message)}</p>\n`;
  const headers = {
    ...extra,
    'content-type': 'text/html; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    'content-security-policy': "default-src 'none'",
    'cache-control': 'no-store',
  };
  return { status, headers, body };
}

function headerText(text: string): string {
  return text.slice(0, 300).replace(/[^\x20-\x7e]/g, '?');
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Which addresses a page given by a client may lead to: at the request, and later for all that the page itself loads. */
import type { Config } from '../config.js';
import type { EgressPolicy } from '../jobs/capture.js';
import { createGate } from '../net/gate.js';
import { AddressRefusedError } from '../net/refusal.js';
import { UrlRefusedError } from './errors.js';

/** The normalised URL of a page that may be recorded. Throws UrlRefusedError. */
export type UrlCheck = (text: string) => Promise<URL>;

/** What a recorded page may reach. Our own demo page is served by ourselves, wherever that is. */
export function egressPolicy(config: Config, pageUrl: string): EgressPolicy {
  const own = new URL(config.publicUrl);
  const page = URL.canParse(pageUrl) ? new URL(pageUrl) : null;
  const isOwn = page?.origin === own.origin && page.pathname === '/demo';
  return {
    allowedNetworks: config.allowedNetworks,
    allowedHosts: isOwn ? [`${own.hostname}:${portOf(own)}`] : [],
    deniedPorts: ownPorts(config),
  };
}

export function createUrlCheck(config: Config): UrlCheck {
  return async (text) => {
    try {
      return await createGate({ policy: egressPolicy(config, text) }).checkPage(text);
    } catch (error) {
      if (error instanceof AddressRefusedError) throw new UrlRefusedError(text.slice(0, 2048), error.message);
      throw error;
    }
  };
}

/** Ports of our database and engine: on this machine no page has any business with them. */
function ownPorts(config: Config): number[] {
  const { databaseUrl, temporal } = config;
  const database = databaseUrl ? Number(new URL(databaseUrl).port || 5432) : config.postgresPort;
  const engine = temporal.address ? Number(temporal.address.split(':').at(-1)) : temporal.port;
  return [database, engine, temporal.uiPort].filter((port) => port > 0);
}

const portOf = (url: URL): number => Number(url.port || (url.protocol === 'https:' ? 443 : 80));

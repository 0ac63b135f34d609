/** Which addresses a page given by a client may lead to: at the request, and later for all that the page itself loads. */
import { hostname } from 'node:os';
import type { Config } from '../config.js';
import type { EgressPolicy } from '../jobs/capture.js';
import { classify, parseAddress } from '../net/addresses.js';
import { createGate, isOwn } from '../net/gate.js';
import { literalAddresses, plainHost, portOf } from '../net/hosts.js';
import { AddressRefusedError } from '../net/refusal.js';
import { UrlRefusedError } from './errors.js';

/** The normalised URL of a page that may be recorded. Throws UrlRefusedError. */
export type UrlCheck = (text: string) => Promise<URL>;

const ownPages = ['/demo', '/viewer', '/publish'];

/** What a recorded page, or the input of a recording (null), may reach. Our own pages are served by ourselves, wherever that is. */
export function egressPolicy(config: Config, pageUrl: string | null): EgressPolicy {
  const own = new URL(config.publicUrl);
  const page = pageUrl !== null && URL.canParse(pageUrl) ? new URL(pageUrl) : null;
  const isOwn = page?.origin === own.origin && ownPages.includes(page.pathname);
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

/** Ports of our database, engine and media server, and of a storage that is here: on this machine no page has any business with them. */
export function ownPorts(config: Config): number[] {
  const { databaseUrl, temporal, media, s3 } = config;
  const database = databaseUrl ? Number(new URL(databaseUrl).port || 5432) : config.postgresPort;
  const engine = temporal.address ? Number(temporal.address.split(':').at(-1)) : temporal.port;
  const janus = media.url ? new URL(media.url) : null;
  const mediaServer = janus && isHere(janus) ? portOf(janus) : media.port;
  const endpoint = s3?.endpoint ? new URL(s3.endpoint) : null;
  const storage = endpoint && isHere(endpoint) ? portOf(endpoint) : 0;
  return [database, engine, temporal.uiPort, mediaServer, media.eventsPort, storage].filter((port) => port > 0);
}

/** By its address or this machine's own name; a storage elsewhere may use a port that pages use here, such as 443. */
function isHere(url: URL): boolean {
  const host = plainHost(url);
  if (host === hostname().toLowerCase()) return true;
  return literalAddresses(host).some((text) => {
    const address = parseAddress(text);
    return address && isOwn(address.toString(), classify(address));
  });
}

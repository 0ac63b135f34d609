/** Where callbacks may be posted to: checked at the request, and again at each connection. */
import type { Config } from '../config.js';
import type { EgressPolicy } from '../jobs/capture.js';
import { createGate } from '../net/gate.js';
import { maxUrlLength } from '../net/hosts.js';
import { AddressRefusedError } from '../net/refusal.js';
import { UrlRefusedError, ValidationError } from '../services/errors.js';
import { ownPorts } from '../services/page-urls.js';

/** The normalised URL that may be posted to. Throws ValidationError (empty, too long) and UrlRefusedError. */
export type CallbackUrlCheck = (text: string) => Promise<URL>;

/** What a callback may reach: what a recorded page may, except that our own pages are no exception. */
export function callbackPolicy(config: Config): EgressPolicy {
  return { allowedNetworks: config.allowedNetworks, allowedHosts: [], deniedPorts: ownPorts(config) };
}

/** Checks http and https URLs of at most 2,048 characters without credentials. A name that is not known yet passes. */
export function createCallbackUrlCheck(config: Config): CallbackUrlCheck {
  const gate = createGate({ policy: callbackPolicy(config) });
  return async (text) => {
    if (text.length === 0) throw new ValidationError([{ field: 'callbackUrl', message: 'is empty' }]);
    if (text.length > maxUrlLength) {
      throw new ValidationError([{ field: 'callbackUrl', message: 'is longer than 2,048 characters' }]);
    }
    try {
      return await gate.checkPage(text);
    } catch (error) {
      if (error instanceof AddressRefusedError) throw new UrlRefusedError(text, error.message);
      throw error;
    }
  };
}

/** Which live sources a recording may be made of: their URLs are checked at the request, and again at each connection. */
import type { Config } from '../config.js';
import { createGate } from '../net/gate.js';
import { AddressRefusedError, UnreachableError } from '../net/refusal.js';
import {
  hasUrl,
  parseStreamUrl,
  portsOfType,
  type StreamAddress,
  shownStreamUrl,
  writeStreamUrl,
} from '../net/stream-url.js';
import type { InputType } from '../recordings/config.js';
import { callbackPolicy } from '../webhooks/callback-url.js';
import { UrlRefusedError, ValidationError } from './errors.js';

/** The URL in one spelling, if it may be recorded from. Throws ValidationError (malformed, wrong scheme for the type) and UrlRefusedError. */
export type StreamUrlCheck = (type: InputType, text: string, field?: string) => Promise<string>;

/** The URL of an input as it may be shown to those who may not open it. */
export const maskedStreamUrl = (type: InputType, text: string): string => shownStreamUrl(read(type, text, 'url'));

/** Checks URLs of at most 2,048 characters. A name that is not known yet passes. */
export function createStreamUrlCheck(config: Config): StreamUrlCheck {
  return async (type, text, field = 'url') => {
    const address = read(type, text, field);
    const gate = createGate({ policy: callbackPolicy(config), ports: portsOfType(type) });
    try {
      await gate.resolve(address.host, address.port);
    } catch (error) {
      if (error instanceof AddressRefusedError) throw new UrlRefusedError(shownStreamUrl(address), error.message);
      if (!(error instanceof UnreachableError)) throw error;
    }
    return type === 'RTP' ? writeStreamUrl(address).replace(/^udp/, 'rtp') : writeStreamUrl(address);
  };
}

function read(type: InputType, text: string, field: string): StreamAddress {
  if (!hasUrl(type)) throw new ValidationError([{ field, message: `An input of the type ${type} has no URL.` }]);
  try {
    return parseStreamUrl(type, text);
  } catch (error) {
    if (error instanceof AddressRefusedError) throw new ValidationError([{ field, message: error.message }]);
    throw error;
  }
}

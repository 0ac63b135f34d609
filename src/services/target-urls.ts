/** Which far servers a job may be broadcast to: checked at the request, and again at each connection. */
import type { Config } from '../config.js';
import { createGate } from '../net/gate.js';
import { AddressRefusedError, UnreachableError } from '../net/refusal.js';
import { parseRtmpUrl, type RtmpAddress, shownRtmpUrl } from '../net/rtmp-url.js';
import { callbackPolicy } from '../webhooks/callback-url.js';
import { UrlRefusedError, ValidationError } from './errors.js';

/** The URL if it may be broadcast to. Throws ValidationError (malformed) and UrlRefusedError. */
export type TargetUrlCheck = (text: string, field?: string) => Promise<string>;

/** The URL as it may be shown: whoever has its last part may broadcast in its owner's name. */
export const maskedTargetUrl = (text: string): string => shownRtmpUrl(parseRtmpUrl(text));

/** Checks rtmp and rtmps URLs of at most 2,048 characters. A name that is not known yet passes. */
export function createTargetUrlCheck(config: Config): TargetUrlCheck {
  const gate = createGate({ policy: callbackPolicy(config) });
  return async (text, field = 'broadcastUrl') => {
    let address: RtmpAddress;
    try {
      address = parseRtmpUrl(text);
    } catch (error) {
      if (error instanceof AddressRefusedError) throw new ValidationError([{ field, message: error.message }]);
      throw error;
    }
    try {
      await gate.resolve(address.host, address.port);
    } catch (error) {
      if (error instanceof AddressRefusedError) throw new UrlRefusedError(shownRtmpUrl(address), error.message);
      if (!(error instanceof UnreachableError)) throw error;
    }
    return text;
  };
}

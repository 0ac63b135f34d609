/** Comparing what a publisher says with the key that it must know. */
import { createHash, timingSafeEqual } from 'node:crypto';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Takes the same time whatever is wrong. No key is no permission. */
export const isSameKey = (given: string, key: string): boolean =>
  key !== '' && timingSafeEqual(digest(given), digest(key));

/** Descriptions of RTP sessions. */
import type { RtpTrack } from './config.js';

export function parseSessionDescription(_text: string): RtpTrack[] {
  throw new Error('Session descriptions cannot be read yet.');
}

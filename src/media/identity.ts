/**
 * How participants are named on the media server: what they are, who they are, and which of their visits it is. Identities are
 * letters, digits, `-` and `_`, at most 64: they are checked when a token is made.
 */
import { randomBytes } from 'node:crypto';

/** `watcher`: joined to watch, unseen. `recorder`: one of our own recorders, unseen. */
const participantPrefixes = { browser: 'b', ingest: 'i', render: 'r', watcher: 'w', recorder: 'x' } as const;
export type MediaKind = keyof typeof participantPrefixes;

const mediaIdPattern = /^([birwx])\.([A-Za-z0-9_-]{1,64})\.([0-9a-f]{12})$/;

/** A new one each time: the same identity may be in a room twice, or come back before it was seen to have left. */
export function newMediaId(kind: MediaKind, identity: string): string {
  return `${participantPrefixes[kind]}.${identity}.${randomBytes(6).toString('hex')}`;
}

/** Null for what is not one of ours. */
export function parseMediaId(mediaId: string): { kind: MediaKind; identity: string } | null {
  const match = mediaIdPattern.exec(mediaId);
  if (!match) return null;
  const kind = (Object.keys(participantPrefixes) as MediaKind[]).find((each) => participantPrefixes[each] === match[1]);
  return { kind: kind as MediaKind, identity: match[2] as string };
}

/** Whether others see it: watchers and recorders are nobody's business. */
export const isVisible = (mediaId: string): boolean =>
  ['browser', 'ingest', 'render'].includes(parseMediaId(mediaId)?.kind ?? 'watcher');

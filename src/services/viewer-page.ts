/** The address of our own viewer page for a recorder: with a token of its own, made when a recorder starts. */
import { randomBytes } from 'node:crypto';
import type { RoomTokens } from '../auth/room-tokens.js';
import type { Config } from '../config.js';
import type { Job } from '../generated/prisma/client.js';
import { encodeId } from '../global-id.js';
import type { PageSource, PublicationSpec } from '../jobs/capture.js';

/** A page that lost its connection joins again with the same token: it must last as long as the job can, pauses included. */
const graceMs = 48 * 3_600_000;

/** `publication`: what the page must not show, since it is the page itself. */
export type ViewerPageUrl = (
  job: Pick<Job, 'id' | 'projectId' | 'maxDurationMs'>,
  source: PageSource,
  publication: PublicationSpec | null,
) => Promise<string>;

export function createViewerPageUrl({ config, tokens }: { config: Config; tokens: RoomTokens }): ViewerPageUrl {
  return async ({ id, projectId, maxDurationMs }, { room }, publication) => {
    if (!room) throw new TypeError(`Job ${id} has neither a page nor a room to capture.`);
    const token = await tokens.sign({
      ...{ roomId: room.roomId, projectId, identity: `recorder-${randomBytes(6).toString('hex')}`, name: 'Recorder' },
      ...{ scopes: ['subscribe'], recorder: true, hidden: publication ? [publication.mediaId] : [] },
      expiresAt: new Date(Date.now() + maxDurationMs + graceMs),
    });
    const url = new URL('/viewer', config.publicUrl);
    url.searchParams.set('sessionId', encodeId('Room', room.roomId));
    url.searchParams.set('apiKey', encodeId('Project', projectId));
    url.searchParams.set('layout', room.layout);
    url.searchParams.set('token', token);
    return url.href;
  };
}

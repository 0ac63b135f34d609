/** Refusals of VideoRoom that are no failures: what is to be made is there already, what is to be ended is not there any more. */
import { MediaServerError } from '../media-server.js';

/** Its own numbers for the reasons. */
export const refusals = { noSuchRoom: 426, roomExists: 427, noSuchFeed: 428 } as const;

/** For `catch`: answers undefined for refusals with these numbers, and throws everything else. */
export function unless(...codes: number[]): (error: unknown) => undefined {
  return (error) => {
    if (error instanceof MediaServerError && codes.includes(error.code)) return undefined;
    throw error;
  };
}

/** Whether what the request is about was there. */
export async function wasThere(request: Promise<unknown>): Promise<boolean> {
  return (await request.catch(unless(refusals.noSuchRoom, refusals.noSuchFeed))) !== undefined;
}

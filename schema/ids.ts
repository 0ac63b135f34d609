/** Global ids as they are read: back to the type and the uuid they were made of. */
import { NotFoundError } from '../src/services/errors.js';

export { encodeId } from '../src/global-id.js';

export const nodeTypes = [
  'ApiKey',
  'Archive',
  'File',
  'Job',
  'JobTarget',
  'Participant',
  'Project',
  'Recording',
  'Render',
  'Room',
  'Schedule',
  'Session',
  'Task',
  'WebhookDelivery',
] as const;
export type NodeType = (typeof nodeTypes)[number];

const pattern = new RegExp(`^(${nodeTypes.join('|')}):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$`);
// The longest real one, WebhookDelivery with a uuid, has 70 characters.
const maxLength = 80;

/** What an id stands for; null when it is none of ours, whatever it contains. */
export function decodeId(globalId: string): { type: NodeType; id: string } | null {
  if (globalId.length > maxLength) return null;
  const match = pattern.exec(Buffer.from(globalId, 'base64url').toString('latin1'));
  return match ? { type: match[1] as NodeType, id: match[2] as string } : null;
}

/** The uuid in a global id of one of `types`; null when it is of something else, or none of ours. */
export function uuidOf(globalId: string, types: readonly NodeType[]): string | null {
  const decoded = decodeId(globalId);
  return decoded && types.includes(decoded.type) ? decoded.id : null;
}

/** The uuid in a global id of one of `types`; throws NotFoundError that names `what` was looked for. */
export function uuidFrom(globalId: string, types: readonly NodeType[], what: string): string {
  const uuid = uuidOf(globalId, types);
  if (uuid === null) {
    const shown = globalId.length > maxLength ? `${globalId.slice(0, maxLength)}…` : globalId;
    throw new NotFoundError(`There is no ${what} with the id "${shown}". Use an id that this API has given you.`);
  }
  return uuid;
}

/** The ids a job has: its own, and that of what was asked for; they share one row key. */
export const jobTypes = ['Job', 'Archive', 'Render', 'Task'] as const satisfies NodeType[];

/** The uuid of a job, by either of its ids. Throws NotFoundError. */
export const jobUuidFrom = (globalId: string): string => uuidFrom(globalId, jobTypes, 'job');

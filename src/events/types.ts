/** What events tell, in words: of jobs, and of rooms. */
import { type EventType, jobEventTypes } from '../jobs/events.js';
import { roomEventTypes } from '../rooms/events.js';

export const eventTypes = { ...jobEventTypes, ...roomEventTypes } as const satisfies Record<EventType, string>;

/** What events tell, in words: of jobs, of rooms, and of schedules. */
import { type EventType, jobEventTypes } from '../jobs/events.js';
import { roomEventTypes } from '../rooms/events.js';
import { scheduleEventTypes } from '../schedules/events.js';

export const eventTypes = { ...jobEventTypes, ...roomEventTypes, ...scheduleEventTypes } as const satisfies Record<
  EventType,
  string
>;

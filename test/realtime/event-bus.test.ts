/** What the bus of a process remembers, tried with made-up events. */
import { describe, expect, test } from 'vitest';
import {
  type CommittedEvent,
  type CommittedJobEvent,
  createEventBus,
  jobTopic,
  projectTopic,
  roomTopic,
} from '../../src/events/bus.js';
import type { Position } from '../../src/events/position.js';

const megabyte = 1_048_576;
const at = (place: number): Position => ({ xid: BigInt(place), id: BigInt(place) });
const event = (place: number, given: Partial<CommittedJobEvent> = {}): CommittedEvent => ({
  position: at(place),
  ...{ projectId: 'project', roomId: null, jobId: 'job', jobSequence: place },
  payload: { type: 'JobBegun' },
  occurredAt: new Date(0),
  bytes: 1,
  ...given,
});
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

/** A bus that was told these events, from the first position on. */
function busWith(events: readonly CommittedEvent[]) {
  const bus = createEventBus();
  bus.start(at(0));
  bus.publish(events, at(events.length));
  return {
    bus,
    /** The numbers of what is remembered of the topic behind the place; null when that is not all there is. */
    recent: (place: number, topic = jobTopic('job')) =>
      bus.recent(topic, at(place))?.map(({ jobSequence }) => jobSequence) ?? null,
  };
}

describe('the latest events are remembered', () => {
  test('10,000 of them: with one more the oldest is forgotten, and who was before it is sent to the table', () => {
    const { bus, recent } = busWith(upTo(10_000).map((place) => event(place)));
    expect(recent(0)).toEqual(upTo(10_000));
    bus.publish([event(10_001)], at(10_001));
    expect(recent(0)).toBeNull();
    expect(recent(1)).toEqual(upTo(10_001).slice(1));
  });

  test('16 MB of them: what exceeds that costs as many of the oldest as are needed', () => {
    const { bus, recent } = busWith(upTo(16).map((place) => event(place, { bytes: megabyte })));
    expect(recent(0)).toEqual(upTo(16));
    bus.publish([event(17)], at(17));
    expect([recent(0), recent(1)]).toEqual([null, upTo(17).slice(1)]);
    bus.publish([event(18, { bytes: 3 * megabyte })], at(18));
    expect([recent(3), recent(4)]).toEqual([null, upTo(18).slice(4)]);
    bus.publish([event(19, { bytes: 17 * megabyte })], at(19));
    expect([recent(18), recent(19)]).toEqual([null, []]);
    bus.publish([event(20)], at(20));
    expect([recent(18), recent(19)]).toEqual([null, [20]]);
  });

  test('by job, room and project, each forgetting its own', () => {
    const ofRoom = { jobId: 'other', roomId: 'room' };
    const { bus, recent } = busWith([event(1), event(2, ofRoom), event(3)]);
    expect([recent(0), recent(0, jobTopic('other')), recent(0, roomTopic('room'))]).toEqual([[1, 3], [2], [2]]);
    expect(recent(0, projectTopic('project'))).toEqual([1, 2, 3]);
    bus.publish([event(4, { bytes: 16 * megabyte - 1 })], at(4));
    expect([recent(2), recent(2, jobTopic('other')), recent(2, roomTopic('room'))]).toEqual([[3, 4], [], []]);
    expect([recent(1), recent(1, roomTopic('room'))]).toEqual([null, null]);
  });

  test('up to where was read, and nothing is said of what lies beyond', () => {
    const { bus, recent } = busWith([event(1)]);
    expect([recent(1), recent(2)]).toEqual([[], null]);
    bus.publish([], at(5));
    expect([recent(0), recent(5), recent(6), recent(0, jobTopic('none'))]).toEqual([[1], [], null, []]);
  });

  test('not at all before reading has begun, and none of those from before a new beginning', () => {
    expect(createEventBus().recent(jobTopic('job'), at(0))).toBeNull();
    const { bus, recent } = busWith(upTo(3).map((place) => event(place)));
    bus.start(at(10));
    expect([recent(3), recent(10)]).toEqual([null, []]);
  });
});

test('who follows a topic is told its events together, once, until it leaves', () => {
  const { bus } = busWith([]);
  const told: (number | null)[][] = [];
  const leave = bus.subscribe(jobTopic('job'), (events) => told.push(events.map(({ jobSequence }) => jobSequence)));
  bus.publish([event(1), event(2, { jobId: 'other' }), event(3)], at(3));
  bus.publish([event(4, { jobId: 'other' })], at(4));
  bus.publish([event(5)], at(5));
  leave();
  leave();
  bus.publish([event(6)], at(6));
  expect(told).toEqual([[1, 3], [5]]);
});

/** Those who follow the same events: what each of them is told, tried with made-up events. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { type CommittedEvent, type CommittedJobEvent, createEventBus, jobTopic } from '../../src/events/bus.js';
import { EventCohort } from '../../src/events/event-cohort.js';
import type { Position } from '../../src/events/position.js';
import type { EventSource } from '../../src/events/source.js';
import type { StreamItem } from '../../src/jobs/events.js';
import { json, numbers, settled, sink, words } from '../testkit/sink.js';

const jobId = 'job';
const at = (place: number): Position => ({ xid: BigInt(place), id: BigInt(place) });
const event = (number: number, bytes = 100): CommittedEvent => ({
  position: at(number),
  ...{ projectId: 'project', roomId: null, jobId, jobSequence: number },
  payload: { type: 'JobBegun' },
  occurredAt: new Date(0),
  bytes,
});

function source(given: Partial<EventSource> = {}): EventSource {
  const shared = { cursor: 'c', occurredAt: new Date(0) };
  const subject = { of: 'job' as const, jobId };
  return {
    ...{ kind: 'events', topic: jobTopic(jobId), after: null, includes: () => true, read: async () => null },
    itemOf(event) {
      const { jobSequence: sequence, payload } = event as CommittedJobEvent;
      return { ...shared, kind: 'event', sequence, jobId, roomId: null, payload };
    },
    snapshot: async () => ({ item: { ...shared, kind: 'snapshot', sequence: 0, subject }, position: at(0) }),
    lagged(last, dropped) {
      return { ...shared, kind: 'lagged', sequence: 'sequence' in last ? last.sequence : 0, subject, dropped };
    },
    ...given,
  };
}

/** A cohort on a bus of its own that remembers nothing from before. */
function cohortOf(given: Partial<EventSource> = {}, render: (value: object) => Buffer | Promise<Buffer> = json) {
  const bus = createEventBus();
  bus.start(at(1_000_000));
  const onEmpty = vi.fn();
  const cohort = new EventCohort(source(given), bus, render, onEmpty);
  const publish = (events: CommittedEvent[]) => bus.publish(events, events.at(-1)?.position as Position);
  return { cohort, publish, onEmpty };
}
async function live(cohort: EventCohort, member = sink()) {
  const leave = cohort.join(member, null);
  await settled();
  return { ...member, member, leave };
}

describe('a follower of events', () => {
  test('shares its snapshot with all who ask before the reading of it begins', async () => {
    const readings: (() => void)[] = [];
    const { snapshot } = source();
    const { cohort } = cohortOf({
      snapshot: () => new Promise((resolve) => readings.push(() => resolve(snapshot()))),
    });
    const members = numbers(1, 100).map(() => sink());
    for (const member of members) cohort.join(member, null);
    await settled();
    const late = numbers(1, 100).map(() => sink());
    for (const member of late) cohort.join(member, null);
    await settled();
    expect(readings).toHaveLength(1);
    readings[0]?.();
    await settled();
    expect(readings).toHaveLength(2);
    for (const { told } of members) expect(told).toEqual(['snapshot 0']);
    for (const { told } of late) expect(told).toEqual([]);
    readings[1]?.();
    await settled();
    for (const { told } of late) expect(told).toEqual(['snapshot 0']);
  });

  test('that cannot be given a snapshot is told why, and one that comes later is given one', async () => {
    const snapshot = vi.fn(source().snapshot).mockRejectedValueOnce(new Error('away'));
    const { cohort } = cohortOf({ snapshot });
    const [first, second] = [sink(), sink()];
    cohort.join(first, null);
    await settled();
    cohort.join(second, null);
    await settled();
    expect([first.ends, first.told]).toEqual([[new Error('away')], []]);
    expect([second.ends, second.told]).toEqual([[], ['snapshot 0']]);
  });

  test('is told of what happens while it is told what was before once, and afterwards', async () => {
    const pages = [numbers(3, 5), numbers(6, 6), []];
    let publishMore = () => {};
    const { cohort, publish } = cohortOf({
      async read() {
        publishMore();
        return (pages.shift() ?? []).map((number) => event(number));
      },
    });
    const member = sink();
    publishMore = () => {
      publishMore = () => {};
      publish(numbers(4, 8).map((number) => event(number)));
    };
    cohort.join(member, at(2));
    await settled();
    expect(member.told).toEqual(words('event', 3, 8));
    publish([event(9)]);
    expect(member.told).toEqual(words('event', 3, 9));
  });

  test.each([
    ['a thousand results', 100, 1_000],
    ['a megabyte', 2_000, 525],
  ])(
    'that reads too slowly is cut off when more than %s wait for it, and told how many it missed',
    async (_, bytes, kept) => {
      const { cohort, publish, onEmpty } = cohortOf({}, (item) => Buffer.from(JSON.stringify(item).padEnd(bytes)));
      const fast = await live(cohort);
      const slow = await live(cohort, sink(2));
      for (const number of numbers(1, 3_000)) publish([event(number, bytes)]);
      // The snapshot, and one that was on its way.
      expect(slow.told).toEqual(['snapshot 0', 'event 1']);
      expect(fast.told).toEqual(['snapshot 0', ...words('event', 1, 3_000)]);
      slow.member.makeRoom(1);
      await settled();
      expect(slow.ends).toEqual([]);
      slow.member.makeRoom();
      await settled();
      expect(slow.told).toEqual([
        'snapshot 0',
        ...words('event', 1, kept + 1),
        `lagged ${kept + 1} ${3_000 - kept - 1}`,
      ]);
      expect(slow.ends).toEqual([undefined]);
      publish([event(3_001)]);
      expect(fast.told.at(-1)).toBe('event 3001');
      expect(slow.told).toHaveLength(kept + 3);
      expect(onEmpty).not.toHaveBeenCalled();
      fast.leave();
      slow.leave();
      expect(onEmpty).toHaveBeenCalledOnce();
    },
  );

  test('that is cut off while it catches up is told all that it had asked for first', async () => {
    let finish = () => {};
    const pages: Promise<CommittedEvent[]>[] = [
      Promise.resolve(numbers(1, 500).map((number) => event(number))),
      new Promise((resolve) => {
        finish = () => resolve(numbers(501, 700).map((number) => event(number)));
      }),
      Promise.resolve([]),
    ];
    const { cohort, publish } = cohortOf({ read: () => pages.shift() as Promise<CommittedEvent[]> });
    const member = sink();
    cohort.join(member, at(0));
    await settled();
    for (const number of numbers(701, 1_800)) publish([event(number)]);
    finish();
    await settled();
    expect(member.told).toEqual([...words('event', 1, 1_700), 'lagged 1700 100']);
    expect(member.ends).toEqual([undefined]);
  });

  test('whose connection fails as it is written to costs the others nothing', async () => {
    const { cohort, publish } = cohortOf();
    const broken = await live(cohort);
    const whole = await live(cohort);
    broken.member.write = () => {
      throw new Error('gone');
    };
    publish([event(1)]);
    publish([event(2)]);
    expect(broken.ends).toEqual([new Error('gone')]);
    expect(whole.told).toEqual(['snapshot 0', 'event 1', 'event 2']);
  });

  test('is told in order, whether a result has to be waited for or not', async () => {
    const { cohort, publish } = cohortOf({}, (item) =>
      (item as StreamItem).sequence % 3 === 0 ? sleep(1).then(() => json(item)) : json(item),
    );
    const member = await live(cohort);
    await expect.poll(() => member.told).toEqual(['snapshot 0']);
    publish(numbers(1, 50).map((number) => event(number)));
    publish(numbers(51, 100).map((number) => event(number)));
    await expect.poll(() => member.told).toEqual(['snapshot 0', ...words('event', 1, 100)]);
  });

  test('shares every result with those who come back at the same time, also one that is still waited for', async () => {
    const render = vi.fn((item: object) => sleep(5).then(() => json(item)));
    const { cohort } = cohortOf(
      {
        read: async (after) =>
          numbers(1, 20)
            .map((number) => event(number))
            .filter(({ position }) => position.id > after.id),
      },
      render,
    );
    const members = numbers(1, 100).map(() => sink());
    for (const [index, member] of members.entries()) cohort.join(member, at(index % 10));
    for (const [index, member] of members.entries())
      await expect.poll(() => member.told).toEqual(words('event', 1 + (index % 10), 20));
    expect(render).toHaveBeenCalledTimes(20);
  });

  test('is cut off with all others when more happens than can be executed', async () => {
    const { cohort, publish } = cohortOf(
      {},
      (item) => new Promise((resolve) => setImmediate(() => resolve(json(item)))),
    );
    const members = [await live(cohort), await live(cohort)];
    for (const { told } of members) await expect.poll(() => told).toEqual(['snapshot 0']);
    publish(numbers(1, 1_500).map((number) => event(number)));
    for (const { told, ends } of members) {
      await expect.poll(() => ends).toEqual([undefined]);
      expect(told).toEqual(['snapshot 0', ...words('event', 1, 1_000), 'lagged 1000 500']);
    }
  });

  test('that was the last to leave leaves nothing to be executed', async () => {
    const render = vi.fn((item: object) => new Promise<Buffer>((resolve) => setImmediate(() => resolve(json(item)))));
    const { cohort, publish, onEmpty } = cohortOf({}, render);
    const { leave, told } = await live(cohort);
    await expect.poll(() => told).toEqual(['snapshot 0']);
    publish(numbers(1, 500).map((number) => event(number)));
    leave();
    leave();
    for (let turns = 0; turns < 20; turns++) await settled();
    expect(onEmpty).toHaveBeenCalledOnce();
    expect(render.mock.calls.length).toBeLessThanOrEqual(3);
    expect(told).toEqual(['snapshot 0']);
  });
});

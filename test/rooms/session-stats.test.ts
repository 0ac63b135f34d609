import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newMediaId } from '../../src/media/identity.js';
import { createTraffic, type StatsEvent } from '../../worker/rooms/traffic.js';
import { camera, type KeptRooms, keepRooms, microphone, type Person } from '../testkit/kept-rooms.js';

const patience = { timeout: 30_000 };

describe('what the media server counts', () => {
  const mediaId = newMediaId('browser', 'ada');
  const event = (at: number, bytesReceived: number, { connection = 'a', bytesSent = 0 } = {}): StatsEvent => ({
    ...{ type: 'stats', at, mediaId, connection },
    tracks: [{ mid: '0', kind: 'VIDEO', bytesReceived, bytesSent, packetsReceived: 0, packetsLost: 0 }],
  });

  test('is taken once: all that a new connection has counted, then what is more', () => {
    const traffic = createTraffic();
    traffic.report(event(1_000, 500), 1_000);
    traffic.report(event(2_000, 800), 2_000);
    expect([traffic.take(mediaId), traffic.take(mediaId)]).toEqual([800, 0]);
    traffic.report(event(3_000, 1_000), 3_000);
    expect(traffic.take(mediaId)).toBe(200);
  });

  test('is added over connections, and over counters that begin again', () => {
    const traffic = createTraffic();
    traffic.report(event(1_000, 500), 1_000);
    traffic.report(event(2_000, 100), 2_000);
    traffic.report(event(2_000, 40, { connection: 'b' }), 2_000);
    expect(traffic.take(mediaId)).toBe(640);
  });

  test('is counted on by another process where the first one had written it down', () => {
    const [first, second] = [createTraffic(), createTraffic()];
    first.report(event(1_000, 500), 1_000);
    first.take(mediaId);
    first.report(event(2_000, 900), 2_000);
    second.restore(first.counted([mediaId]));
    second.report(event(3_000, 1_300), 3_000);
    second.report(event(3_000, 50, { connection: 'new' }), 3_000);
    expect(second.take(mediaId)).toBe(850);
  });

  test('gives rates by its own clock, whenever it is read, and none once it is silent', () => {
    const traffic = createTraffic();
    for (let second = 0; second <= 20; second++) {
      traffic.report(event(second * 1_000, second * 125_000, { bytesSent: second * 10 }), second * 900);
    }
    expect([traffic.ingestRate(mediaId, 18_000), traffic.outgoingRate(mediaId, 18_000)]).toEqual([125_000, 10]);
    expect(traffic.ingestRate(mediaId, 22_000)).toBe(0);
  });

  test('is forgotten a while after it has ended', () => {
    const traffic = createTraffic();
    traffic.report(event(1_000, 500), 1_000);
    traffic.forget(62_000);
    expect(traffic.arrival(mediaId, '0')).toBeUndefined();
  });
});

describe('the statistics of a session', () => {
  let kept: KeptRooms;
  beforeAll(async () => {
    kept = await keepRooms();
    kept.rooms.state.report({ type: 'connected' });
  });
  afterAll(() => kept.remove());

  const statsOf = async (roomId: string) => {
    const session = await kept.db.session.findFirst({ where: { roomId }, include: { stats: true } });
    return session?.stats;
  };

  /** Answers what tells of so many more seconds of media at once, as a media server does that could not send it before. */
  function sending(person: Person, bytesPerSecond: number): (seconds: number) => void {
    const begun = Date.now() - 10_000;
    let told = -1;
    return (seconds) => {
      for (const last = told + seconds; told < last; ) {
        told++;
        const counted = { bytesReceived: told * bytesPerSecond, packetsReceived: told * 100 };
        person.count(camera, counted, begun + told * 1_000);
      }
    };
  }

  test('are what all publishers sent, and what was sent to everybody, watchers too', async () => {
    const roomId = await kept.newRoom();
    const [ada, bob] = [kept.join(roomId, 'ada'), kept.join(roomId, 'bob')];
    ada.publish(camera);
    bob.publish(camera);
    await kept.rooms.state.idle();
    const [sendAda, sendBob] = [sending(ada, 100_000), sending(bob, 50_000)];
    // The counters at their beginning, and ten seconds.
    sendAda(11);
    sendBob(11);
    const watcher = newMediaId('watcher', 'eve');
    kept.rooms.state.report({ type: 'joined', at: 1, roomId, mediaId: watcher, name: '' });
    const now = Date.now();
    let watched = 0;
    const watch = () => {
      const of = { type: 'stats', at: now + watched * 1_000, mediaId: watcher, connection: 'w' } as const;
      const sent = { bytesReceived: 0, packetsReceived: 0, packetsLost: 0, bytesSent: watched * 150_000 };
      kept.rooms.state.report({ ...of, tracks: [{ mid: '0', kind: 'VIDEO', ...sent }] });
      watched++;
    };
    await expect.poll(() => statsOf(roomId), patience).toMatchObject({ sourceBytes: 1_500_000n });
    // Rates are of what is reported now: it goes on until they are stored, however long that takes.
    const goOn = () => {
      sendAda(1);
      sendBob(1);
      watch();
      return statsOf(roomId);
    };
    await expect
      .poll(goOn, { ...patience, interval: 500 })
      .toMatchObject({ ingestRate: 150_000, outgoingRate: 150_000, isHealthy: true, issues: [] });
  }, 120_000);

  test('go on where they were when the process dies, and what came meanwhile is in them', async () => {
    const roomId = await kept.newRoom();
    const ada = kept.join(roomId, 'ada');
    ada.publish(camera);
    await kept.rooms.state.idle();
    ada.count(camera, { bytesReceived: 700 });
    await expect.poll(() => statsOf(roomId), patience).toMatchObject({ sourceBytes: 700n });
    await kept.restart();
    ada.count(camera, { bytesReceived: 1_000 });
    await expect.poll(() => statsOf(roomId), patience).toMatchObject({ sourceBytes: 1_000n });
  });

  test('have all that somebody sent who has left', async () => {
    const roomId = await kept.newRoom();
    const ada = kept.join(roomId, 'ada');
    ada.publish(microphone);
    await kept.rooms.state.idle();
    ada.count(microphone, { bytesReceived: 10 });
    ada.leave();
    await kept.rooms.state.idle();
    ada.count(microphone, { bytesReceived: 25 });
    await expect.poll(() => statsOf(roomId), patience).toMatchObject({ sourceBytes: 25n, isHealthy: null, issues: [] });
  });
});

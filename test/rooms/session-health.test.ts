import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { ParticipantTrack } from '../../src/rooms/events.js';
import { createHealthWatch, type Publication } from '../../worker/rooms/health.js';
import type { Arrival } from '../../worker/rooms/traffic.js';
import { camera, type KeptRooms, keepRooms, microphone, screen } from '../testkit/kept-rooms.js';

const tracks: ParticipantTrack[] = [microphone, camera].map((track) => ({ ...track, muted: false }));
const ada: Publication = { name: 'Ada', isConnected: true, isPage: false, tracks };
const unknown = { isHealthy: null, issues: [] };
const well = { isHealthy: true, issues: [] };
const ill = (...issues: string[]) => ({ isHealthy: false, issues });
const frozen = 'Ada, video 1 (camera): nothing arrives.';

/** Somebody who publishes from second 0 on; what arrives is said for each second. Answers the health in the last of them. */
function watch(publication = ada) {
  const health = createHealthWatch();
  return {
    health,
    look: (second: number, arrival: Partial<Arrival> | null = {}, heardSince: number | null = 0) => {
      const now = second * 1_000;
      const usual = { grewAt: now, quietMs: 0, reportedAt: now, spanMs: 5_000, bytes: 500_000, packets: 500, lost: 0 };
      const arrivalOf = (mid: string) => {
        if (mid === microphone.mid) return arrival && usual;
        return arrival ? { ...usual, ...arrival } : undefined;
      };
      return health.look(publication, (mid) => arrivalOf(mid) ?? undefined, now, heardSince);
    },
  };
}

describe('the health of what somebody publishes', () => {
  test('is not known until something arrives or should have, nor while nobody hears of it', () => {
    const { look } = watch();
    expect(look(0, null)).toEqual(unknown);
    expect(look(5, null)).toEqual(unknown);
    expect(look(6)).toEqual(well);
    expect(look(7, {}, null)).toEqual(unknown);
    expect(watch({ ...ada, tracks: [] }).look(9)).toEqual(unknown);
    const { look: never } = watch();
    never(0, null);
    expect(never(9, null)).toEqual(ill('Ada, audio 0 (microphone): nothing arrives.', frozen));
  });

  test('is bad when a track stops for three seconds, and good again three seconds after it goes on', () => {
    const { look } = watch();
    look(0);
    expect(look(3, { grewAt: 1_000, quietMs: 2_000 })).toEqual(well);
    expect(look(4, { grewAt: 1_000, quietMs: 3_000 })).toEqual(ill(frozen));
    expect(look(5)).toEqual(ill(frozen));
    expect(look(6)).toEqual(ill(frozen));
    expect(look(7)).toEqual(well);
  });

  test('is bad when the media server says that a track stopped, or says nothing of it any more', () => {
    const { look, health } = watch();
    look(0);
    health.receiving(camera.mid, false);
    expect(look(3, { grewAt: 0, quietMs: 0 })).toEqual(ill(frozen));
    health.receiving(camera.mid, true);
    expect(look(7)).toEqual(well);
    expect(look(13, { grewAt: 7_000, reportedAt: 7_000 })).toEqual(ill(frozen));
  });

  test('is bad when more than a twentieth of the packets is lost, if there are enough to tell', () => {
    const { look } = watch();
    expect(look(0, { packets: 950, lost: 50 })).toEqual(well);
    expect(look(1, { packets: 20, lost: 20 })).toEqual(well);
    expect(look(2, { packets: 949, lost: 51 })).toEqual(
      ill('Ada, video 1 (camera): more than 5 % of its packets are lost.'),
    );
  });

  test('is bad when a camera sends less than 50 kbit/s for five seconds; a screen, or a page, may stand still', () => {
    const little = { bytes: 31_000 };
    const { look } = watch();
    expect(look(0, little)).toEqual(well);
    expect(look(5, { ...little, spanMs: 3_000, bytes: 100 })).toEqual(well);
    expect(look(6, little)).toEqual(ill('Ada, video 1 (camera): its bitrate is below 50 kbit/s.'));
    const shared = watch({ ...ada, tracks: [{ ...screen, mid: camera.mid, muted: false }] });
    shared.look(0, little);
    expect(shared.look(6, little)).toEqual(well);
    const page = watch({ ...ada, isPage: true });
    page.look(0, little);
    expect(page.look(6, little)).toEqual(well);
  });

  test('is bad while the media server warns of the link, and for a while after', () => {
    const { look, health } = watch();
    health.slowLink(1_000);
    expect(look(1)).toEqual(ill('Ada: the link to the media server loses packets.'));
    expect(look(9)).toEqual(well);
  });

  test('does not suffer from what a moderator stopped, and a track that is gone takes its trouble with it', () => {
    const muted = watch({ ...ada, tracks: tracks.map((track) => ({ ...track, muted: true })) });
    muted.look(0);
    expect(muted.look(9, { grewAt: 0, quietMs: 9_000 })).toEqual(well);
    const health = createHealthWatch();
    const arrival: Arrival = {
      ...{ grewAt: 0, quietMs: 9_000, reportedAt: 9_000 },
      ...{ spanMs: 5_000, bytes: 0, packets: 0, lost: 0 },
    };
    health.look(ada, () => ({ ...arrival, quietMs: 0 }), 0, 0);
    expect(health.look(ada, () => arrival, 9_000, 0).isHealthy).toBe(false);
    expect(health.look({ ...ada, tracks: [] }, () => arrival, 9_100, 0)).toEqual(unknown);
  });

  test('may be good and have words for the source all the same', () => {
    const { look, health } = watch();
    health.advise(['Use H.264.']);
    expect(look(0)).toEqual({ isHealthy: true, issues: ['Ada: Use H.264.'] });
    expect(look(1, null)).toEqual(unknown);
  });

  test('is not known of packets that are merely sent to the media server, unless somebody counts them', () => {
    const { look } = watch({ ...ada, isConnected: false });
    look(0, null);
    expect(look(20, null)).toEqual(unknown);
    expect(look(21)).toEqual(well);
  });
});

describe('a change of health', () => {
  let kept: KeptRooms;
  beforeAll(async () => {
    kept = await keepRooms();
  });
  afterAll(() => kept.remove());

  test('is told once, and the session has the troubles of all', async () => {
    const roomId = await kept.newRoom();
    kept.rooms.state.report({ type: 'connected' });
    const [ann, bob] = [kept.join(roomId, 'ann'), kept.join(roomId, 'bob')];
    ann.publish(camera);
    bob.publish(camera);
    let sent = 0;
    const sending = setInterval(() => {
      sent += 50_000;
      // Of Bob, whom nothing arrives of, the media server goes on to report.
      ann.count(camera, { bytesReceived: sent, packetsReceived: sent / 1_000 });
      bob.count(camera, { bytesReceived: 50_000, packetsReceived: 50 });
    }, 300);
    onTestFinished(() => clearInterval(sending));
    const stats = async () => (await kept.db.session.findFirst({ where: { roomId }, include: { stats: true } }))?.stats;
    const issue = 'bob, video 1 (camera): nothing arrives.';
    await expect.poll(stats, { timeout: 30_000 }).toMatchObject({ isHealthy: false, issues: [issue] });
    const changes = async (name: string) => {
      const { id } = await kept.db.participant.findFirstOrThrow({ where: { roomId, name } });
      return (await kept.events(roomId)).filter(
        (event) => event.type === 'ParticipantHealthChanged' && event.participantId === id,
      );
    };
    const atFirst = { isHealthy: true, issues: [] };
    await expect
      .poll(() => changes('bob'), { timeout: 30_000 })
      .toMatchObject([atFirst, { isHealthy: false, issues: [issue] }]);
    expect(await changes('ann')).toMatchObject([atFirst]);
    clearInterval(sending);
    ann.leave();
    bob.leave();
    await expect.poll(stats, { timeout: 30_000 }).toMatchObject({ isHealthy: null, issues: [] });
  });
});

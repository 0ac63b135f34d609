import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newMediaId } from '../../src/media/identity.js';
import { defaultProfiles, defaultRecordingSpec } from '../../src/rooms/profiles.js';
import { createLiveSessions } from '../../src/services/live-sessions.js';
import { createParticipants } from '../../src/services/participants.js';
import { createRoomChanges } from '../../src/services/room-changes.js';
import { camera, type KeptRooms, keepRooms, microphone } from '../testkit/kept-rooms.js';

const graceMs = 2_000;
/** Nothing here may depend on how fast the machine is. */
const patience = { timeout: 30_000 };
let kept: KeptRooms;
let looks = 0;
beforeAll(async () => {
  kept = await keepRooms({ graceMs, looks: [async () => void looks++] });
});
afterAll(() => kept.remove());

const sessionsOf = (roomId: string) => kept.db.session.findMany({ where: { roomId }, orderBy: { createdAt: 'asc' } });
const told = async (roomId: string) =>
  (await kept.events(roomId)).map(({ type }) => type).filter((type) => type.startsWith('Session'));

describe('a session', () => {
  test('begins with the first who publishes, not with who is only there, and is what its room was then', async () => {
    const roomId = await kept.newRoom();
    const settings = { record: true, profiles: defaultProfiles as never, recordingSpec: defaultRecordingSpec as never };
    await kept.db.room.update({ where: { id: roomId }, data: settings });
    const [ada, bob] = [kept.join(roomId, 'ada'), kept.join(roomId, 'bob')];
    await kept.rooms.state.idle();
    expect(await sessionsOf(roomId)).toEqual([]);
    ada.publish(microphone);
    bob.publish(camera);
    await kept.rooms.state.idle();
    await kept.db.room.update({ where: { id: roomId }, data: { record: false, profiles: [] } });

    const [session, ...others] = await sessionsOf(roomId);
    expect(others).toEqual([]);
    expect(session).toMatchObject({ ...settings, endedAt: null, playbackId: expect.stringMatching(/^[a-z0-9]{16}$/) });
    expect(await kept.db.participant.count({ where: { sessionId: session?.id as string } })).toBe(2);
    expect(await told(roomId)).toEqual(['SessionStarted']);
  });

  test('ends when nobody has published for a while, though people are there, and the next one is another', async () => {
    const roomId = await kept.newRoom();
    const [ada] = [kept.join(roomId, 'ada'), kept.join(roomId, 'bob')];
    ada.publish(camera);
    ada.unpublish();
    await expect.poll(() => told(roomId), patience).toEqual(['SessionStarted', 'SessionEnded']);
    const [first] = await sessionsOf(roomId);
    expect((first?.endedAt?.getTime() as number) - (first?.lastSeenAt.getTime() as number)).toBe(graceMs);
    ada.publish(camera);
    await kept.rooms.state.idle();
    const [, second] = await sessionsOf(roomId);
    expect(second).toMatchObject({ endedAt: null });
    expect(second?.playbackId).not.toBe(first?.playbackId);
  });

  test('goes on with who comes back in time, and while somebody publishes', async () => {
    const roomId = await kept.newRoom();
    const ada = kept.join(roomId, 'ada');
    kept.rooms.state.report({ type: 'connected' });
    ada.publish(camera);
    ada.leave();
    kept.join(roomId, 'ada').publish(camera);
    await kept.rooms.state.idle();
    const [before] = await sessionsOf(roomId);
    const later = new Date((before as { createdAt: Date }).createdAt.getTime() + graceMs * 2);
    await expect
      .poll(async () => (await sessionsOf(roomId))[0]?.lastSeenAt.getTime(), patience)
      .toBeGreaterThan(later.getTime());
    expect(await told(roomId)).toEqual(['SessionStarted']);
  });

  test('that should have ended while the process was dead ends as if it had not been', async () => {
    const roomId = await kept.newRoom();
    const ada = kept.join(roomId, 'ada');
    ada.publish(camera);
    await kept.rooms.state.idle();
    const lastSeenAt = new Date(Date.now() - 600_000);
    await kept.rooms.close();
    await kept.db.session.updateMany({ where: { roomId }, data: { lastSeenAt } });
    kept.there?.delete(roomId);
    await kept.restart();
    await expect.poll(() => told(roomId), patience).toEqual(['SessionStarted', 'SessionEnded']);
    expect(await sessionsOf(roomId)).toMatchObject([{ lastSeenAt, endedAt: new Date(lastSeenAt.getTime() + graceMs) }]);
  });

  test('is not ended by a process that has not asked yet who publishes', async () => {
    const roomId = await kept.newRoom();
    const ada = kept.join(roomId, 'ada');
    ada.publish(camera);
    await kept.rooms.state.idle();
    await kept.rooms.close();
    // As if the process had died when nobody published, and somebody has since.
    await kept.db.participant.updateMany({ where: { roomId }, data: { tracks: [] } });
    await kept.db.session.updateMany({ where: { roomId }, data: { lastSeenAt: new Date(Date.now() - 1_000) } });
    await kept.restart();
    await expect
      .poll(() => kept.db.participant.findMany({ where: { roomId } }), patience)
      .toMatchObject([{ tracks: [camera] }]);
    expect(await told(roomId)).toEqual(['SessionStarted']);
  });

  test('of a deleted room ends at once when nobody is left', async () => {
    const roomId = await kept.newRoom();
    const ada = kept.join(roomId, 'ada');
    ada.publish(camera);
    await kept.rooms.state.idle();
    await kept.db.session.updateMany({ where: { roomId }, data: { lastSeenAt: new Date(Date.now() + 3_600_000) } });
    await kept.db.room.update({ where: { id: roomId }, data: { deletedAt: new Date(), deletedKey: roomId } });
    ada.leave();
    await expect.poll(() => told(roomId), patience).toEqual(['SessionStarted', 'SessionEnded']);
  });

  test('never is one of two, though two processes believe that it is their turn', async () => {
    const roomId = await kept.newRoom();
    const wake = () => {};
    const keepers = [1, 2].map(() => {
      const change = createRoomChanges({ db: kept.db, wake });
      return createParticipants({
        ...{ db: kept.db, change },
        sessions: createLiveSessions({ db: kept.db, change, graceMs }),
      });
    });
    const people = Array.from({ length: 4 }, (_, index) => newMediaId('browser', `p${index}`));
    await Promise.all(
      people.flatMap((mediaId) =>
        keepers.map((keeper) => keeper.published(roomId, { mediaId, name: mediaId, tracks: [camera] })),
      ),
    );
    const all = (await kept.events(roomId)).map(({ type }) => type).sort();
    expect(all).toEqual([
      ...people.map(() => 'ParticipantJoined'),
      ...people.map(() => 'ParticipantTracksChanged'),
      'SessionStarted',
    ]);
  });

  test('has rooms looked after when it begins, and again', async () => {
    const before = looks;
    kept.join(await kept.newRoom(), 'ada').publish(camera);
    await expect.poll(() => looks, patience).toBeGreaterThan(before + 1);
  });
});

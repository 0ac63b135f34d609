import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newMediaId } from '../../src/media/identity.js';
import { camera, type KeptRooms, keepRooms, microphone, screen } from '../testkit/kept-rooms.js';

let kept: KeptRooms;
beforeAll(async () => {
  kept = await keepRooms();
});
afterAll(() => kept.remove());

const untold = { muted: false };
const inRoom = (roomId: string) => kept.db.participant.findMany({ where: { roomId }, orderBy: { joinedAt: 'asc' } });

describe('who is in a room', () => {
  test('is told once and in order, however often the media server says it', async () => {
    const roomId = await kept.newRoom();
    const ada = kept.join(roomId, 'ada');
    ada.publish(microphone);
    ada.publish(microphone);
    ada.publish(microphone, camera);
    ada.unpublish();
    ada.leave();
    ada.leave();
    await kept.rooms.state.idle();

    const [row] = await inRoom(roomId);
    const participantId = row?.id;
    expect(await kept.events(roomId)).toEqual([
      { type: 'ParticipantJoined', participantId, identity: 'ada', name: 'ada' },
      { type: 'SessionStarted', sessionId: row?.sessionId },
      { type: 'ParticipantTracksChanged', participantId, tracks: [{ ...microphone, ...untold }] },
      {
        type: 'ParticipantTracksChanged',
        participantId,
        tracks: [
          { ...microphone, ...untold },
          { ...camera, ...untold },
        ],
      },
      { type: 'ParticipantTracksChanged', participantId, tracks: [] },
      { type: 'ParticipantLeft', participantId },
    ]);
    expect(row).toMatchObject({ kind: 'BROWSER', identity: 'ada', name: 'ada', tracks: [] });
    expect([row?.publishedAt, row?.leftAt]).toEqual([expect.any(Date), expect.any(Date)]);
  });

  test('who comes back is another one, with the same identity', async () => {
    const roomId = await kept.newRoom();
    kept.join(roomId, 'ada').leave();
    kept.join(roomId, 'ada');
    await kept.rooms.state.idle();
    const rows = await inRoom(roomId);
    expect(rows.map(({ identity, leftAt }) => [identity, leftAt !== null])).toEqual([
      ['ada', true],
      ['ada', false],
    ]);
  });

  test('a moderator who stops a track is told of, and what is published afterwards keeps it stopped', async () => {
    const roomId = await kept.newRoom();
    const ada = kept.join(roomId, 'ada');
    ada.publish(microphone);
    const of = { at: Date.now(), roomId, mediaId: ada.mediaId, mid: microphone.mid };
    kept.rooms.state.report({ type: 'muted', ...of, muted: true });
    ada.publish(microphone, screen);
    await kept.rooms.state.idle();
    const [row] = await inRoom(roomId);
    expect(row?.tracks).toEqual([
      { ...microphone, muted: true },
      { ...screen, muted: false },
    ]);
  });

  test('watchers and recorders are nobody, and so is who is in a room that is not ours', async () => {
    const roomId = await kept.newRoom();
    const strange = '00000000-0000-4000-8000-000000000000';
    for (const mediaId of [newMediaId('watcher', 'eve'), newMediaId('recorder', 'one'), 'whoever'])
      kept.rooms.state.report({ type: 'published', at: 1, roomId, mediaId, name: '', tracks: [camera] });
    for (const foreign of [strange, 'lobby']) kept.join(foreign, 'bob').publish(camera);
    await kept.rooms.state.idle();
    await kept.rooms.state.check();
    expect([await inRoom(roomId), await kept.events(roomId)]).toEqual([[], []]);
    expect(await kept.db.participant.count({ where: { roomId: strange } })).toBe(0);
  });

  test('a deleted room lets nobody in', async () => {
    const roomId = await kept.newRoom();
    await kept.db.room.update({ where: { id: roomId }, data: { deletedAt: new Date(), deletedKey: roomId } });
    kept.join(roomId, 'ada').publish(camera);
    await kept.rooms.state.idle();
    expect(await inRoom(roomId)).toEqual([]);
  });
});

describe('what was missed is put right', () => {
  test('who came, changed or left unheard', async () => {
    const roomId = await kept.newRoom();
    const [ada, bob] = [kept.join(roomId, 'ada'), kept.join(roomId, 'bob')];
    ada.publish(microphone);
    bob.publish(camera);
    await kept.rooms.state.idle();
    const eve = { mediaId: newMediaId('browser', 'eve'), name: 'Eve', tracks: [camera] };
    kept.there?.set(roomId, [{ mediaId: ada.mediaId, name: 'ada', tracks: [microphone, screen] }, eve]);
    await kept.rooms.state.check();

    const rows = await inRoom(roomId);
    expect(rows.map(({ name, leftAt, tracks }) => [name, leftAt !== null, (tracks as unknown[]).length])).toEqual([
      ['ada', false, 2],
      ['bob', true, 0],
      ['Eve', false, 1],
    ]);
    const before = await kept.events(roomId);
    await kept.rooms.state.check();
    expect(await kept.events(roomId)).toEqual(before);
  });

  test('somebody in a room that nothing was ever heard of', async () => {
    const roomId = await kept.newRoom();
    kept.there?.set(roomId, [{ mediaId: newMediaId('ingest', 'obs'), name: 'OBS', tracks: [camera] }]);
    await kept.rooms.state.check();
    expect(await inRoom(roomId)).toMatchObject([{ kind: 'INGEST', name: 'OBS', leftAt: null }]);
  });

  test('after the process was killed', async () => {
    const roomId = await kept.newRoom();
    const [ada, bob] = [kept.join(roomId, 'ada'), kept.join(roomId, 'bob')];
    ada.publish(camera);
    bob.publish(camera);
    await kept.rooms.state.idle();
    const [before] = await inRoom(roomId);
    kept.there?.set(roomId, [{ mediaId: ada.mediaId, name: 'ada', tracks: [camera] }]);
    await kept.restart();
    await expect
      .poll(() => inRoom(roomId), { timeout: 20_000 })
      .toMatchObject([
        { name: 'ada', leftAt: null, sessionId: before?.sessionId },
        { name: 'bob', leftAt: expect.any(Date) },
      ]);
  });

  test('what happened while the database was away', async () => {
    const roomId = await kept.newRoom();
    const ada = kept.join(roomId, 'ada');
    ada.publish(camera);
    await kept.rooms.state.idle();
    await kept.db.$executeRaw`ALTER TABLE participant RENAME TO away`;
    try {
      kept.join(roomId, 'bob').publish(camera);
      ada.leave();
      await kept.rooms.state.idle();
    } finally {
      await kept.db.$executeRaw`ALTER TABLE away RENAME TO participant`;
    }
    await expect
      .poll(async () => (await inRoom(roomId)).map(({ name, leftAt }) => [name, leftAt !== null]), { timeout: 20_000 })
      .toEqual([
        ['ada', true],
        ['bob', false],
      ]);
  });

  test('a media server that is gone has nobody in it any more, and one that is back has who is there', async () => {
    const roomId = await kept.newRoom();
    const ada = kept.join(roomId, 'ada');
    ada.publish(camera);
    await kept.rooms.state.idle();
    const there = kept.there;
    kept.there = null;
    kept.rooms.state.report({ type: 'disconnected' });
    await expect.poll(() => inRoom(roomId), { timeout: 30_000 }).toMatchObject([{ leftAt: expect.any(Date) }]);
    kept.there = there;
    kept.rooms.state.report({ type: 'connected' });
    await expect.poll(() => inRoom(roomId), { timeout: 20_000 }).toMatchObject([{ leftAt: null, tracks: [camera] }]);
    const told = (await kept.events(roomId)).map(({ type }) => type);
    expect(told.slice(-4)).toEqual([
      ...['ParticipantTracksChanged', 'ParticipantLeft', 'ParticipantJoined', 'ParticipantTracksChanged'],
    ]);
  });
});

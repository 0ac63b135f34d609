import { randomUUID } from 'node:crypto';
import { SignJWT, UnsecuredJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRoomTokens, type RoomClaims } from '../../src/auth/room-tokens.js';
import { createSigningKeys, keyFor } from '../../src/auth/signing-keys.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';

describe('room tokens', () => {
  let own: OwnDatabase;
  beforeAll(async () => {
    own = await ownDatabase();
  });
  afterAll(() => own.remove());

  const claims: RoomClaims = {
    ...{ roomId: randomUUID(), projectId: randomUUID(), identity: 'ann-1_x', name: 'Ann “Ä” 😀' },
    ...{ scopes: ['publish', 'moderate'], expiresAt: new Date(Math.ceil(Date.now() / 1000) * 1000 + 60_000) },
    ...{ hidden: ['r.page.0123456789ab'], recorder: true },
  };
  const body = () => ({
    ...{ sub: claims.identity, name: claims.name, room: claims.roomId, project: claims.projectId, scopes: ['publish'] },
    ...{ iat: Date.now() / 1000, exp: Math.floor(Date.now() / 1000) + 60 },
  });

  /** Signed as ours are, but for what is given. */
  async function forged(
    changed: { header?: object; body?: object; audience?: string; issuer?: string; secret?: Uint8Array } = {},
  ): Promise<string> {
    const key = await createSigningKeys(own.db).current();
    return new SignJWT({ ...body(), ...changed.body })
      .setProtectedHeader({ alg: 'HS256', kid: key.id, ...changed.header })
      .setAudience(changed.audience ?? 'tapedeck-room')
      .setIssuer(changed.issuer ?? 'tapedeck')
      .sign(changed.secret ?? keyFor('room-token', key));
  }

  test('say what was signed, in another replica as well, and when they were made', async () => {
    const token = await createRoomTokens(own.db).sign(claims);
    const read = await createRoomTokens(own.db).verify(token);
    expect(read).toEqual({ ...claims, issuedAt: expect.any(Date) });
    expect(Math.abs((read as { issuedAt: Date }).issuedAt.getTime() - Date.now())).toBeLessThan(30_000);
  });

  test('are told apart when they have expired', async () => {
    const tokens = createRoomTokens(own.db);
    expect(await tokens.verify(await tokens.sign({ ...claims, expiresAt: new Date(Date.now() - 1_000) }))).toBe(
      'expired',
    );
    expect(await tokens.verify(await forged({ body: { exp: Date.now() / 1000 - 1 } }))).toBe('expired');
  });

  test('a forgery made as ours are is taken, so that those below fail for the reason they name', async () => {
    expect(await createRoomTokens(own.db).verify(await forged())).toMatchObject({ identity: claims.identity });
  });

  test.each<[string, () => Promise<string>]>([
    ['no token', async () => ''],
    ['something else', async () => 'a.b.c'],
    ['one of 5,000 characters', async () => forged({ body: { name: 'x'.repeat(5_000) } })],
    [
      'one without a signature',
      async () => new UnsecuredJWT(body()).setAudience('tapedeck-room').setIssuer('tapedeck').encode(),
    ],
    ['one that another secret signed', () => forged({ secret: new Uint8Array(32) })],
    [
      'one that the key itself signed, which signs downloads',
      async () => forged({ secret: (await createSigningKeys(own.db).current()).secret }),
    ],
    [
      'one that a key for another purpose signed',
      async () => forged({ secret: keyFor('other', await createSigningKeys(own.db).current()) }),
    ],
    ['one of another algorithm', async () => forged({ header: { alg: 'HS512' }, secret: new Uint8Array(64) })],
    ['one of an unknown key', () => forged({ header: { kid: '0123456789abcdef' } })],
    ['one of no key', () => forged({ header: { kid: undefined } })],
    ['one for another audience', () => forged({ audience: 'tapedeck-file' })],
    ['one of another issuer', () => forged({ issuer: 'somebody' })],
    ['one that never expires', () => forged({ body: { exp: undefined } })],
    ['one for somebody who cannot be', () => forged({ body: { sub: 'a.b' } })],
    ['one with an unknown scope', () => forged({ body: { scopes: ['publish', 'everything'] } })],
    ['one whose room is no room', () => forged({ body: { room: 'lobby' } })],
    [
      'an expired one that another secret signed',
      () => forged({ body: { exp: Date.now() / 1000 - 1 }, secret: new Uint8Array(32) }),
    ],
  ])('%s is refused', async (_what, make) => {
    expect(await createRoomTokens(own.db).verify(await make())).toBeNull();
  });

  test('one that was changed anywhere is refused', async () => {
    const tokens = createRoomTokens(own.db);
    const token = await tokens.sign(claims);
    for (const at of [5, token.indexOf('.') + 20, token.lastIndexOf('.') + 5]) {
      const other = token[at] === 'A' ? 'B' : 'A';
      expect(await tokens.verify(token.slice(0, at) + other + token.slice(at + 1))).toBeNull();
    }
  });

  test.each(['', 'a.b', 'a b', 'ä', 'x'.repeat(65), '../x'])('none is made for "%s"', async (identity) => {
    await expect(createRoomTokens(own.db).sign({ ...claims, identity })).rejects.toThrow();
  });

  test('outlive the retirement of their key, and not its removal', async () => {
    const token = await createRoomTokens(own.db).sign(claims);
    const { id } = await createSigningKeys(own.db).current();
    await own.db.signingKey.update({ where: { id }, data: { retiredAt: new Date() } });
    const next = await createRoomTokens(own.db).sign(claims);
    expect(next.split('.')[0]).not.toBe(token.split('.')[0]);
    expect(await createRoomTokens(own.db).verify(token)).toMatchObject({ identity: claims.identity });
    await own.db.signingKey.delete({ where: { id } });
    expect(await createRoomTokens(own.db).verify(token)).toBeNull();
    expect(await createRoomTokens(own.db).verify(next)).toMatchObject({ identity: claims.identity });
  });
});

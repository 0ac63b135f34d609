/** Room tokens: signed JWTs that let their holders into one room, for a while. Nothing of them is stored. */
import { errors, jwtVerify, SignJWT } from 'jose';
import * as z from 'zod';
import type { Database } from '../db.js';
import { createSigningKeys, keyFor } from './signing-keys.js';

export const roomScopes = {
  publish: 'Publish audio and video.',
  subscribe: 'Watch and hear others.',
  moderate: 'Remove and mute others.',
} as const satisfies Record<string, string>;
export type RoomScope = keyof typeof roomScopes;
export const allRoomScopes = Object.keys(roomScopes) as RoomScope[];

/** What a room token says, checked. */
export interface RoomClaims {
  roomId: string;
  projectId: string;
  /** Who the holder is: letters, digits, `-` and `_`, at most 64. The same each time the token is used. */
  identity: string;
  /** Shown to others. */
  name: string;
  scopes: readonly RoomScope[];
  expiresAt: Date;
  /** Media ids that the holder is not shown: a render must not show itself. */
  hidden: readonly string[];
  /** A recorder of ours: it watches unseen, and its page says when it is ready. */
  recorder: boolean;
}

/** A token that was read: also when it was made, to the millisecond. */
export type IssuedClaims = RoomClaims & { issuedAt: Date };

export interface RoomTokens {
  /** HS256 with the newest key of table `signing_key`, whose id is the `kid`. Throws ZodError for claims that cannot be. */
  sign(claims: RoomClaims): Promise<string>;
  /** Null for what is malformed, signed by somebody else, or good for something else; `expired` is told apart. */
  verify(token: string): Promise<IssuedClaims | 'expired' | null>;
}

/** Who somebody in a room is. */
export const identityRule = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1 to 64 letters, digits, "-" or "_"');

const issuer = 'tapedeck';
const audience = 'tapedeck-room';
const purpose = 'room-token';
/** Characters. With a name of 100 characters that take four bytes each and ten hidden media ids, a token has about 2,000. */
const maxTokenLength = 4_096;

const bodyRule = z.object({
  sub: identityRule,
  name: z.string().min(1),
  room: z.uuid(),
  project: z.uuid(),
  scopes: z.array(z.enum(allRoomScopes)),
  hidden: z.array(z.string()).default([]),
  recorder: z.boolean().default(false),
  iat: z.number(),
  exp: z.int(),
});

/** Whether the text is made like a room token; no other credential of ours is. */
export const looksLikeRoomToken = (text: string): boolean =>
  text.length <= maxTokenLength && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text);

export function createRoomTokens(db: Database): RoomTokens {
  const keys = createSigningKeys(db);

  return {
    async sign({ roomId, projectId, identity, name, scopes, expiresAt, hidden, recorder }) {
      const body = bodyRule.parse({
        ...{ sub: identity, name, room: roomId, project: projectId, scopes },
        // To the millisecond: one that is made right after its holder was removed is good again.
        iat: Date.now() / 1000,
        exp: Math.floor(expiresAt.getTime() / 1000),
        ...(hidden.length > 0 ? { hidden } : {}),
        ...(recorder ? { recorder } : {}),
      });
      const key = await keys.current();
      return new SignJWT(body)
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT', kid: key.id })
        .setIssuer(issuer)
        .setAudience(audience)
        .sign(keyFor(purpose, key));
    },

    async verify(token) {
      if (!looksLikeRoomToken(token)) return null;
      try {
        const { payload } = await jwtVerify(
          token,
          async ({ kid }) => {
            const key = kid === undefined ? undefined : await keys.find(kid);
            if (!key) throw new errors.JWSSignatureVerificationFailed();
            return keyFor(purpose, key);
          },
          { issuer, audience, algorithms: ['HS256'] },
        );
        const parsed = bodyRule.safeParse(payload);
        if (!parsed.success) return null;
        const { sub: identity, room: roomId, project: projectId, iat, exp, ...rest } = parsed.data;
        return { ...rest, identity, roomId, projectId, issuedAt: fromSeconds(iat), expiresAt: fromSeconds(exp) };
      } catch (error) {
        if (error instanceof errors.JWTExpired) return 'expired';
        // Anything else is not the token's fault, and another time it may be found good.
        if (error instanceof errors.JOSEError) return null;
        throw error;
      }
    },
  };
}

const fromSeconds = (seconds: number): Date => new Date(Math.round(seconds * 1000));

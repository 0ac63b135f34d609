/** What clients may give for a room and for a token of it, and what stands in where they give nothing. */
import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import { allRoomScopes, identityRule } from '../auth/room-tokens.js';
import {
  defaultProfiles,
  defaultRecordingSpec,
  type PlaybackProfile,
  playbackProfilesInput,
  type RecordingSpec,
  recordingSpecInput,
} from '../rooms/profiles.js';
import { plainText } from './requests.js';

const day = 86_400;
const tokenSeconds = { usual: day, most: 30 * day };

/** Written in one way only, so that what looks the same is the same room. */
export const roomName = plainText
  .transform((name) => name.normalize('NFC').trim())
  .pipe(z.string().min(1, 'is empty').max(200, 'is longer than 200 characters'));

const settings = {
  record: z.boolean().nullish(),
  profiles: playbackProfilesInput.nullish(),
  recordingSpec: recordingSpecInput.nullish(),
};

export const ensureRule = z.object({ name: roomName, ...settings }).transform(({ record, profiles, ...rest }) => ({
  name: rest.name,
  record: record ?? false,
  profiles: profiles ?? [...defaultProfiles],
  recordingSpec: rest.recordingSpec ?? defaultRecordingSpec,
}));
export type EnsureRoom = z.input<typeof ensureRule>;

export const updateRule = z.object({ name: roomName.nullish(), ...settings });
export type UpdateRoom = z.input<typeof updateRule>;

export const tokenRule = z.object({
  scopes: z.array(z.enum(allRoomScopes)).min(1, 'names nothing that the token is good for').nullish(),
  identity: identityRule.nullish(),
  name: plainText
    .transform((name) => name.trim())
    .pipe(z.string().min(1, 'is empty').max(100, 'is longer than 100 characters'))
    .nullish(),
  expiresIn: z
    .int('must be a whole number of seconds')
    .min(1, 'must be at least 1 second')
    .max(tokenSeconds.most, 'must be at most 2,592,000 seconds')
    .nullish(),
});
export type TokenWish = z.input<typeof tokenRule>;
export const usualTokenSeconds = tokenSeconds.usual;

/** For somebody of whom nothing is known. */
export const randomIdentity = (): string => `guest-${randomBytes(6).toString('hex')}`;

/** What encoders publish with: whoever has it publishes. */
export const newStreamKey = (): string => randomBytes(16).toString('hex');

/** As they are kept with a room, and with each session of it. */
export const profilesOf = (row: { profiles: unknown }): PlaybackProfile[] => {
  const kept = row.profiles as PlaybackProfile[];
  return kept.length > 0 ? kept : [...defaultProfiles];
};

/** Rooms from before there were any have an empty object. */
export const recordingSpecOf = (row: { recordingSpec: unknown }): RecordingSpec => {
  const kept = row.recordingSpec as Partial<RecordingSpec>;
  return kept.profiles ? { profiles: kept.profiles } : defaultRecordingSpec;
};

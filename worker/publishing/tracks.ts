/** How an encoder and what publishes its packets name the two tracks to each other. */

/** What an encoder sends: its payload types, and the SSRCs that packets are known by on their way to the publication. */
export const publishedTracks = {
  sound: { mid: '0', payloadType: 111, ssrc: 1, clockHz: 48_000 },
  picture: { mid: '1', payloadType: 96, ssrc: 2, clockHz: 90_000 },
} as const;

/** Where an encoder is made to put pictures that stand alone. */

/**
 * Options for a key frame at the first picture of each of these intervals of media time, so that files can be cut exactly there.
 * Null: no such interval. None at all leaves it to the encoder.
 */
export function forcedKeyFrames(everySeconds: number | null, splitMs: number | null): string[] {
  const intervals = [...(everySeconds ? [everySeconds] : []), ...(splitMs ? [splitMs / 1000] : [])];
  if (intervals.length === 0) return [];
  // Times of pictures are rounded: a picture that is due at a whole second may be a little before it.
  const turn = (seconds: number) => (time: string) => `floor((${time}+0.001)/${seconds})`;
  const begun = intervals.map(turn).map((count) => `gt(${count('t')},${count('prev_forced_t')})`);
  return ['-force_key_frames', `expr:${['isnan(prev_forced_t)', ...begun].join('+')}`];
}

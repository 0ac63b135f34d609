/** Tells from key frames that are copied whether an encoder has changed what it sends: by the parameter sets in front of them. */

export interface PictureChanges {
  /** Takes a key frame as Matroska holds it; true when its parameter sets are others than those seen before. */
  see(picture: Buffer): boolean;
  /** The first set in front of it; null where it has none. */
  setIn(picture: Buffer): Buffer | null;
}

/** Types of the units that say how large pictures are, and where their type is. */
const sets: Record<string, { type: number; typeOf: (unit: Buffer) => number }> = {
  'V_MPEG4/ISO/AVC': { type: 7, typeOf: (unit) => (unit[0] ?? 0) & 0x1f },
  'V_MPEGH/ISO/HEVC': { type: 33, typeOf: (unit) => ((unit[0] ?? 0) >> 1) & 0x3f },
};
const lengthBytes = 4;

/** Null for codecs whose changes are not seen here. */
export function changesOf(codecId: string): PictureChanges | null {
  const wanted = sets[codecId];
  if (!wanted) return null;
  let last: Buffer | null = null;
  const setIn = (picture: Buffer): Buffer | null => {
    for (const unit of unitsOf(picture)) if (wanted.typeOf(unit) === wanted.type) return unit;
    return null;
  };
  return {
    setIn,
    see(picture) {
      const unit = setIn(picture);
      if (!unit) return false;
      const isOther = last !== null && !last.equals(unit);
      if (last === null || isOther) last = Buffer.from(unit);
      return isOther;
    },
  };
}

/** As ffmpeg writes pictures that came without lengths. */
export function* unitsOf(picture: Buffer): Generator<Buffer> {
  for (let at = 0; at + lengthBytes < picture.length; ) {
    const length = picture.readUInt32BE(at);
    const start = at + lengthBytes;
    if (length === 0 || start + length > picture.length) return;
    yield picture.subarray(start, start + length);
    at = start + length;
  }
}

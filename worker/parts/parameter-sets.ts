/** What decoders of H.264 and H.265 must know before the first picture: in a file's head, or with the pictures themselves. */

/** Codecs whose parts may go on with another's, though what decoders must know differs: it can come with the pictures. */
export const carriesSets = (codec: string | undefined): codec is 'h264' | 'hevc' =>
  codec === 'h264' || codec === 'hevc';

/** How many bytes tell the length of each unit of a picture. */
export const lengthBytes = (codec: 'h264' | 'hevc', setup: Buffer): number =>
  ((setup[codec === 'h264' ? 4 : 21] ?? 3) & 3) + 1;

/** All sets, each with its length in front, as they stand before a picture. */
export function setsInBand(codec: 'h264' | 'hevc', setup: Buffer): Buffer {
  const { sequence, picture } = codec === 'h264' ? setsOfH264(setup) : { sequence: setsOfH265(setup), picture: [] };
  const sets = [...sequence, ...picture];
  return Buffer.concat(sets.map((set) => withLength(set, lengthBytes(codec, setup))));
}

export function withLength(unit: Buffer, bytes: number): Buffer {
  const length = Buffer.alloc(bytes);
  length.writeUIntBE(unit.length, 0, bytes);
  return Buffer.concat([length, unit]);
}

/** The settings of H.264 that hold the sets of both; the second's have other numbers. */
export function mergedH264(setup: Buffer, other: Buffer): Buffer {
  const [own, added] = [setsOfH264(setup), setsOfH264(other)];
  const sequence = [...own.sequence, ...added.sequence];
  const picture = [...own.picture, ...added.picture];
  const head = Buffer.from(setup.subarray(0, 5));
  // What a decoder must be able to do is what the more demanding of both asks for.
  head[3] = Math.max(head[3] ?? 0, other[3] ?? 0);
  return Buffer.concat([
    ...[head, Buffer.from([0xe0 | sequence.length]), ...sequence.map((set) => withLength(set, 2))],
    ...[Buffer.from([picture.length]), ...picture.map((set) => withLength(set, 2)), own.rest],
  ]);
}

/** A number that none of the sets has. */
export function freeSetNumber(setup: Buffer): number {
  const { sequence, picture } = setsOfH264(setup);
  // Profile, constraints and level stand before the number of a sequence's set.
  const taken = [...sequence.map((set) => golombAt(set, 4)), ...picture.map((set) => golombAt(set, 1))];
  for (let number = 1; ; number++) if (!taken.includes(number)) return number;
}

function setsOfH264(setup: Buffer): { sequence: Buffer[]; picture: Buffer[]; rest: Buffer } {
  let at = 6;
  const take = (count: number): Buffer[] =>
    Array.from({ length: count }, () => {
      const length = setup.readUInt16BE(at);
      at += 2 + length;
      return setup.subarray(at - length, at);
    });
  const sequence = take((setup[5] ?? 0) & 31);
  const pictures = setup[at] ?? 0;
  at += 1;
  const picture = take(pictures);
  return { sequence, picture, rest: setup.subarray(at) };
}

function setsOfH265(setup: Buffer): Buffer[] {
  const sets: Buffer[] = [];
  let at = 23;
  for (let kinds = setup[22] ?? 0; kinds > 0; kinds--) {
    const count = setup.readUInt16BE(at + 1);
    at += 3;
    for (let index = 0; index < count; index++) {
      const length = setup.readUInt16BE(at);
      sets.push(setup.subarray(at + 2, at + 2 + length));
      at += 2 + length;
    }
  }
  return sets;
}

/** A number as H.264 writes it, which begins at a byte: as many zeros as bits follow the first one. */
function golombAt(bytes: Buffer, at: number): number {
  const window = bytes.readUIntBE(at, Math.min(4, bytes.length - at)) * 2 ** (8 * Math.max(0, 4 - (bytes.length - at)));
  const zeros = Math.clz32(window);
  return zeros > 15 ? 0 : Math.floor(window / 2 ** (31 - 2 * zeros)) - 1;
}

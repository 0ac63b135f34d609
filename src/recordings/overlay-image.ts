/** Pictures that clients give to be put over a recording: told by their first bytes, whatever they are said to be. */

export const mostImageBytes = 524_288;
/** Of each side, pixels: a picture of few bytes may be of many pixels, which all have to be held. */
export const mostImageSide = 4_096;

const pngSignature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Start of frame, of every kind that is a picture by itself. */
const framesOfJpeg = [0xc0, 0xc1, 0xc2, 0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf];

/** What is wrong with a picture; null when nothing is. */
export function imageFault(image: Uint8Array): string | null {
  if (image.length > mostImageBytes)
    return `has ${image.length} bytes; at most ${mostImageBytes.toLocaleString('en')} are taken`;
  const bytes = Buffer.from(image);
  const size = sizeOfPng(bytes) ?? sizeOfJpeg(bytes);
  if (!size) return 'is neither a PNG nor a JPEG picture';
  const { width, height } = size;
  if (width < 1 || height < 1 || width > mostImageSide || height > mostImageSide)
    return `is of ${width}x${height} pixels; at most ${mostImageSide} each way are taken`;
  return null;
}

function sizeOfPng(bytes: Buffer): { width: number; height: number } | null {
  if (bytes.length < 24 || !bytes.subarray(0, 8).equals(pngSignature) || bytes.toString('latin1', 12, 16) !== 'IHDR')
    return null;
  return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
}

/** Goes from marker to marker until the one that says the size. */
function sizeOfJpeg(bytes: Buffer): { width: number; height: number } | null {
  if (bytes.length < 4 || bytes.readUInt16BE(0) !== 0xffd8) return null;
  let at = 2;
  while (at + 9 <= bytes.length) {
    if (bytes[at] !== 0xff) return null;
    const marker = bytes[at + 1] as number;
    if (framesOfJpeg.includes(marker)) return { height: bytes.readUInt16BE(at + 5), width: bytes.readUInt16BE(at + 7) };
    // Fill bytes stand between segments; the others say how long they are.
    at += marker === 0xff ? 1 : 2 + bytes.readUInt16BE(at + 2);
  }
  return null;
}

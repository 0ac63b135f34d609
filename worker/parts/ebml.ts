/** The elements that Matroska files are made of: reading them, and writing them. */

export const ids = {
  header: 0x1a45dfa3,
  segment: 0x18538067,
  seekHead: 0x114d9b74,
  info: 0x1549a966,
  timestampScale: 0x2ad7b1,
  muxingApp: 0x4d80,
  writingApp: 0x5741,
  tracks: 0x1654ae6b,
  trackEntry: 0xae,
  trackNumber: 0xd7,
  trackType: 0x83,
  codecId: 0x86,
  codecPrivate: 0x63a2,
  defaultDuration: 0x23e383,
  cluster: 0x1f43b675,
  timestamp: 0xe7,
  simpleBlock: 0xa3,
  blockGroup: 0xa0,
  block: 0xa1,
  referenceBlock: 0xfb,
  cues: 0x1c53bb6b,
  tags: 0x1254c367,
  chapters: 0x1043a770,
  attachments: 0x1941a469,
  void: 0xec,
  checksum: 0xbf,
} as const;

export const trackTypes = { video: 1, audio: 2 } as const;
export const keyFlag = 0x80;
/** Longest header of an element: 4 bytes of id, 8 of size. */
export const headerBytes = 12;

export interface Element {
  id: number;
  /** Where it begins in the bytes. */
  at: number;
  body: Buffer;
}

/** Those that are whole. */
export function* elementsOf(bytes: Buffer, from = 0): Generator<Element> {
  for (let at = from; at < bytes.length; ) {
    const element = readElement(bytes, at);
    const next = element ? at + element.start + element.size : Number.POSITIVE_INFINITY;
    if (!element || next > bytes.length) return;
    yield { id: element.id, at, body: bytes.subarray(at + element.start, next) };
    at = next;
  }
}

/** `start`: where its contents begin, counted from the element. Null when the bytes end before that, or are no element. */
export function readElement(bytes: Buffer, at: number): { id: number; start: number; size: number } | null {
  const idLength = Math.clz32((bytes[at] ?? 0) << 24) + 1;
  if (idLength > 4 || at + idLength >= bytes.length) return null;
  const size = readSize(bytes, at + idLength);
  let id = 0;
  for (let index = 0; index < idLength; index++) id = id * 256 + (bytes[at + index] as number);
  return size && { id, start: size.next - at, size: size.value };
}

export function readSize(bytes: Buffer, at: number): { value: number; next: number } | null {
  const length = Math.clz32((bytes[at] ?? 0) << 24) + 1;
  if (length > 8 || at + length > bytes.length) return null;
  let value = (bytes[at] as number) & (0xff >> length);
  for (let index = 1; index < length; index++) value = value * 256 + (bytes[at + index] as number);
  return { value, next: at + length };
}

export const numberOf = (bytes: Buffer): number => bytes.reduce((value, byte) => value * 256 + byte, 0);

const idBytes = (id: number): Buffer => Buffer.from(id.toString(16), 'hex');
const sizeBytes = 8;
/** Of a segment that goes on until its bytes end. */
const unknownSize = Buffer.from('01ffffffffffffff', 'hex');

export function element(id: number, ...body: Uint8Array[]): Buffer {
  const size = Buffer.alloc(sizeBytes);
  const length = body.reduce((sum, { byteLength }) => sum + byteLength, 0);
  size.writeUIntBE(length, 2, 6);
  size[0] = 1;
  return Buffer.concat([idBytes(id), size, ...body]);
}

export const endlessElement = (id: number): Buffer => Buffer.concat([idBytes(id), unknownSize]);

export function numberElement(id: number, value: number): Buffer {
  const body = Buffer.alloc(6);
  body.writeUIntBE(value, 0, 6);
  return element(id, body);
}

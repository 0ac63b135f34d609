/** The values that RTMP commands are made of, as bytes and back (AMF0): what publishing needs of them. */

export type AmfValue = number | boolean | string | null | { [name: string]: AmfValue };

const markers = { number: 0, boolean: 1, string: 2, object: 3, null: 5, undefined: 6, ecmaArray: 8, end: 9 } as const;

export function encodeAmf(...values: AmfValue[]): Buffer {
  return Buffer.concat(values.map(encodeValue));
}

/** The values up to the first that nobody sends in answers, such as a date. */
export function decodeAmf(bytes: Buffer): AmfValue[] {
  const values: AmfValue[] = [];
  const reader = { bytes, at: 0 };
  try {
    while (reader.at < bytes.length) values.push(decodeValue(reader));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return values;
}

function encodeValue(value: AmfValue): Buffer {
  if (value === null) return Buffer.from([markers.null]);
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(9);
    bytes[0] = markers.number;
    bytes.writeDoubleBE(value, 1);
    return bytes;
  }
  if (typeof value === 'boolean') return Buffer.from([markers.boolean, value ? 1 : 0]);
  if (typeof value === 'string') return Buffer.concat([Buffer.from([markers.string]), shortText(value)]);
  const fields = Object.entries(value).flatMap(([name, field]) => [shortText(name), encodeValue(field)]);
  return Buffer.concat([Buffer.from([markers.object]), ...fields, Buffer.from([0, 0, markers.end])]);
}

function shortText(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

interface Reader {
  bytes: Buffer;
  at: number;
}

function decodeValue(reader: Reader): AmfValue {
  const { bytes } = reader;
  const marker = bytes.readUInt8(reader.at++);
  switch (marker) {
    case markers.number:
      reader.at += 8;
      return bytes.readDoubleBE(reader.at - 8);
    case markers.boolean:
      return bytes.readUInt8(reader.at++) !== 0;
    case markers.string:
      return decodeText(reader);
    case markers.null:
    case markers.undefined:
      return null;
    case markers.ecmaArray:
      // Its count is not to be relied on: the end is marked as an object's.
      reader.at += 4;
      return decodeFields(reader);
    case markers.object:
      return decodeFields(reader);
    default:
      throw new RangeError(`AMF0 marker ${marker} is not expected in an answer.`);
  }
}

function decodeFields(reader: Reader): { [name: string]: AmfValue } {
  const fields: [string, AmfValue][] = [];
  for (;;) {
    const name = decodeText(reader);
    if (name === '' && reader.bytes.readUInt8(reader.at) === markers.end) {
      reader.at++;
      return Object.fromEntries(fields);
    }
    fields.push([name, decodeValue(reader)]);
  }
}

function decodeText(reader: Reader): string {
  const length = reader.bytes.readUInt16BE(reader.at);
  const start = reader.at + 2;
  if (start + length > reader.bytes.length) throw new RangeError('AMF0 text ends too early.');
  reader.at = start + length;
  return reader.bytes.toString('utf8', start, reader.at);
}

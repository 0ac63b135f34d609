/** What a far RTMP server says is read at a cost that it cannot choose. */
import { expect, test } from 'vitest';
import { createMessageReader, messageTypes, type RtmpMessage, toChunks } from '../../worker/outlets/rtmp/messages.js';

const said = (type: number, body: Buffer): RtmpMessage => ({ type, timestamp: 0, stream: 0, body });
const chunkSize = (bytes: number): Buffer => {
  const body = Buffer.alloc(4);
  body.writeUInt32BE(bytes);
  return toChunks(said(messageTypes.setChunkSize, body), 2, 128);
};
/** The first chunk of a message that is never finished. */
const begun = (channel: number): Buffer =>
  toChunks(said(messageTypes.command, Buffer.alloc(1_000)), channel, 128).subarray(0, 12 + 128);

test('messages that arrive byte by byte, in chunks of several sizes and between each other, are put together', () => {
  const body = Buffer.from(Array.from({ length: 1_000 }, (_, index) => index % 251));
  const long = toChunks(said(messageTypes.command, body), 3, 128);
  const bytes = Buffer.concat([long.subarray(0, 140), chunkSize(128), long.subarray(140), chunkSize(4_096)]);
  const all = Buffer.concat([bytes, toChunks(said(messageTypes.data, body), 3, 4_096)]);
  const read = createMessageReader();
  const messages = [...all].flatMap((byte) => read(Buffer.from([byte])));
  expect(messages.map(({ type }) => type)).toEqual([1, messageTypes.command, 1, messageTypes.data]);
  expect(messages[1]?.body.equals(body)).toBe(true);
  expect(messages[3]?.body.equals(body)).toBe(true);
});

test.each([0, 1, 127])('chunks of %i bytes are refused', (bytes) => {
  expect(() => createMessageReader()(chunkSize(bytes))).toThrow(`chunks of ${bytes} bytes`);
});

test('what a server leaves unfinished is bounded, in messages and in their length', () => {
  const read = createMessageReader();
  for (let channel = 2; channel < 18; channel++) expect(read(begun(channel))).toEqual([]);
  expect(() => read(begun(18))).toThrow(/more than 16 channels/);
  const tooLong = toChunks(said(messageTypes.command, Buffer.alloc(65_537)), 3, 128).subarray(0, 12);
  expect(() => createMessageReader()(tooLong)).toThrow(/65537 bytes/);
  expect(() => createMessageReader()(toChunks(said(1, Buffer.alloc(1)), 2, 128))).toThrow(/chunks of 0 bytes/);
});

test('a message that becomes shorter than what is there of it is refused', () => {
  const shorter = toChunks(said(messageTypes.command, Buffer.alloc(10)), 3, 128);
  expect(() => createMessageReader()(Buffer.concat([begun(3), shorter]))).toThrow(/changes its length/);
});

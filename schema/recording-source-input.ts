/** How clients say where the media of a recording comes from. */
import { builder } from './builder.js';
import { InputTypeEnum } from './recording-values.js';
import { LayoutEnum } from './sources.js';

type InputFields = Parameters<Parameters<typeof builder.inputType>[1]['fields']>[0];

const sourceFields = (t: InputFields) => ({
  url: t.string({
    required: false,
    description:
      'Of those that are called, `_URL`, HLS, DASH and HTTP_FLV: the address; at most 2,048 characters. UDP, RTP: a multicast group to receive from, such as `udp://239.1.2.3:5004`; left out, it is sent to a port of ours.',
  }),
  latency: t.int({
    required: false,
    description:
      'SRT, RIST: how late packets that were sent again may come, milliseconds, 20 to 8,000; 120 when left out.',
  }),
  passphrase: t.string({
    required: false,
    description: 'SRT: what the stream is encrypted with, 10 to 79 characters. Left out: it is not.',
  }),
  keyLength: t.int({
    required: false,
    description: 'SRT, with a passphrase: bytes of the key, 16, 24 or 32; 16 when left out.',
  }),
  streamId: t.string({
    required: false,
    description: 'SRT_URL: what we ask the listener for, at most 512 characters. Left out: nothing.',
  }),
  linkStats: t.boolean({
    required: false,
    description:
      'SRT: whether round trip, loss and buffers of the link are measured; true when left out. Without, it takes about a tenth less of a processor, and who sends to it must connect again when the recording is changed.',
  }),
  streamKey: t.string({
    required: false,
    description:
      'RTMP_SERVER, RTSP_SERVER: the last part of the address to send to, 8 to 64 letters, digits, `-` and `_`. One is made when left out.',
  }),
  sdp: t.string({
    required: false,
    description:
      'RTP: a session description of one track of sound, one of picture, or both; at most 16,384 characters. Left out: an MPEG transport stream is expected.',
  }),
  roomId: t.id({ required: false, description: 'ROOM, PARTICIPANT: global id of the room. Give this or `roomName`.' }),
  roomName: t.string({ required: false, description: 'ROOM, PARTICIPANT: name of the room.' }),
  layout: t.field({
    type: LayoutEnum,
    required: false,
    description: 'ROOM: how the viewer page arranges participants, GRID when left out.',
  }),
  identity: t.string({
    required: false,
    description: 'PARTICIPANT: identity of whom to record, present or not. Give this or `participantId`.',
  }),
  participantId: t.id({
    required: false,
    description:
      'PARTICIPANT: global id of somebody who is, or was, in a room; whoever has the same identity is recorded.',
  }),
  connectTimeout: t.int({
    required: false,
    description:
      'How long it may take to send its first media, seconds, 1 to 604,800. Left out: 30 for those that are called, 86,400 for those that send to us and for participants.',
  }),
  reconnectTimeout: t.int({
    required: false,
    description:
      'How long it is waited for when it was lost, or how long a room may be empty, seconds, 1 to 604,800; 3,600 when left out.',
  }),
});

export const RecordingSourceInput = builder.inputType('RecordingSourceInput', {
  description: 'Where media comes from. What is not for the type is refused.',
  fields: (t) => ({
    type: t.field({ type: InputTypeEnum, description: 'Of which type it is.' }),
    ...sourceFields(t),
  }),
});

export const RecordingSourceChange = builder.inputType('RecordingSourceChange', {
  description: 'What is to be different of an input. Of another type, all is as usual for that.',
  fields: (t) => ({
    type: t.field({ type: InputTypeEnum, required: false, description: 'Of which type it is.' }),
    ...sourceFields(t),
  }),
});

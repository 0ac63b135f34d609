import { describe, expect, test } from 'vitest';
import {
  parseSessionDescription,
  SessionDescriptionError,
  writeSessionDescription,
} from '../../src/recordings/session-description.js';

const head = 'v=0\r\no=- 0 0 IN IP4 192.0.2.1\r\ns=No Name\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=tool:libavformat\r\n';
const video =
  'm=video 5004 RTP/AVP 96\r\nb=AS:400\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z2QAHqzZ,aOvjyyLA; profile-level-id=64001E\r\n';
const audio =
  'm=audio 5006 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/48000/2\r\na=fmtp:97 profile-level-id=1;mode=AAC-hbr;config=119056E500\r\na=control:streamid=1\r\n';

test('reads a session as encoders describe it, and nothing of where it was to be sent', () => {
  expect(parseSessionDescription(head + video + audio)).toEqual([
    {
      ...{ kind: 'VIDEO', payloadType: 96, encoding: 'H264', clockRate: 90_000, channels: null },
      parameters: {
        'packetization-mode': '1',
        'sprop-parameter-sets': 'Z2QAHqzZ,aOvjyyLA',
        'profile-level-id': '64001E',
      },
    },
    {
      ...{ kind: 'AUDIO', payloadType: 97, encoding: 'MPEG4-GENERIC', clockRate: 48_000, channels: 2 },
      parameters: { 'profile-level-id': '1', mode: 'AAC-hbr', config: '119056E500' },
    },
  ]);
});

test('knows the types that need no description', () => {
  const [track] = parseSessionDescription(`${head}m=audio 5004 RTP/AVP 0\r\n`);
  expect(track).toEqual({
    kind: 'AUDIO',
    payloadType: 0,
    encoding: 'PCMU',
    clockRate: 8_000,
    channels: 1,
    parameters: {},
  });
});

test('writes what it read, at our own address: two ports for each track', () => {
  const written = writeSessionDescription(parseSessionDescription(head + video + audio), {
    address: '127.0.0.1',
    ports: [7000, 7002],
  });
  expect(written).toContain('c=IN IP4 127.0.0.1\r\n');
  expect(written).toContain('m=video 7000 RTP/AVP 96\r\n');
  expect(written).toContain('m=audio 7002 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/48000/2\r\n');
  expect(parseSessionDescription(written)).toEqual(parseSessionDescription(head + video + audio));
});

describe('refuses, and says why', () => {
  test.each([
    ['text', 'hello', /first line/],
    ['nothing but a head', head, /no line "m=audio"/],
    ['too much', `${head}${'a=x:y\r\n'.repeat(2_000)}`, /longer than 8192 bytes/],
    ['two pictures', head + video + video, /more than one track of video/],
    ['data', `${head}m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n`, /neither audio nor video/],
    ['encryption by profile', head + video.replace('RTP/AVP', 'RTP/SAVP'), /only RTP\/AVP/],
    ['encryption by attribute', `${head + video}a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n`, /Encrypted/],
    ['several types', head + video.replace('AVP 96', 'AVP 96 97'), /2 payload types/],
    ['a type that is not described', head + video.replace('rtpmap:96', 'rtpmap:98'), /no line "a=rtpmap:96/],
    ['an unknown encoding', head + video.replace('H264', 'X-THING'), /cannot be recorded/],
    ['another clock', head + video.replace('90000', '48000'), /90000 Hz/],
    ['parameters with other signs', `${head + audio.replace('mode=AAC-hbr', 'mode=$(id)')}`, /letters, digits/],
    ['a line that is none', `${head + video}rtpmap\r\n`, /no line of a session description/],
    ['control characters', `${head + video}a=x:\u0000\r\n`, /no line of a session description/],
  ])('%s', (_, text, message) => {
    const read = () => parseSessionDescription(text);
    expect(read).toThrow(SessionDescriptionError);
    expect(read).toThrow(message);
  });
});

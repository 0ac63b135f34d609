import { expect, test } from 'vitest';
import { createSrtLink, sumLinks } from '../../worker/streams/srt-link.js';

const report = (packets: number, bytes: number, more: Record<string, number> = {}) =>
  `${JSON.stringify({
    ...{ sid: 1, time: 0, link: { rtt: 12.5, bandwidth: 95.5, maxBandwidth: 1000 } },
    recv: { packets, packetsLost: 3, packetsDropped: 1, packetsRetransmitted: 2, bytes, msBuf: 117, ...more },
  })}\n`;

test('tells the link by its reports, however they are cut', () => {
  const link = createSrtLink();
  expect(link.read(0)).toBeNull();
  const text = report(100, 131_600) + report(200, 381_600);
  link.hear(text.slice(0, 50), 1_000);
  expect(link.read(1_000)).toBeNull();
  link.hear(text.slice(50, text.indexOf('\n') + 1), 1_000);
  link.hear(`no report\n${text.slice(text.indexOf('\n') + 1)}`, 2_000);
  expect(link.read(2_100)).toEqual({
    ...{ bitrate: 2_000_000, rttMs: 12.5, bufferMs: 117, capacity: 95_500_000, activeStreams: 1 },
    ...{ packetsReceived: 200, packetsLost: 3, packetsRetransmitted: 2, packetsDropped: 1 },
  });
});

test('a link that says nothing any more is gone; one that says little by little is not', () => {
  const link = createSrtLink();
  link.hear(report(100, 100_000), 0);
  link.hear(report(200, 200_000), 500);
  expect(link.read(5_000)?.activeStreams).toBe(1);
  expect(link.read(6_000)).toMatchObject({ activeStreams: 0, bitrate: 0, bufferMs: 0, packetsReceived: 200 });
  link.hear(report(300, 300_000), 10_000);
  expect(link.read(30_000)?.activeStreams).toBe(1);
});

test('counts go on over links that follow each other', () => {
  const link = createSrtLink();
  link.hear(report(100, 100_000), 0);
  const one = link.read(0);
  expect(sumLinks(null, one)).toEqual(one);
  expect(sumLinks(one, one)).toMatchObject({ packetsReceived: 200, packetsLost: 6, activeStreams: 1 });
  expect(sumLinks(one, null)).toMatchObject({ packetsReceived: 100, activeStreams: 0, bitrate: 0 });
});

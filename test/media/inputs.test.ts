/** Every type of input, read from a real sender: what comes is the test card, every picture of it, with its sound. */
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { RecordingInput } from '../../src/recordings/config.js';
import { parseSessionDescription } from '../../src/recordings/session-description.js';
import { freePort } from '../../stack/ports.js';
import { cardMaster } from '../testkit/card-master.js';
import { type Reading, readInput } from '../testkit/inputs.js';
import { expectTogether } from '../testkit/media.js';
import { type ContentReport, contentReport } from '../testkit/media-report.js';
import { type Sender, type SenderOptions, startSender } from '../testkit/senders.js';

const seconds = 5;
const streamKey = 'a1b2c3d4e5f6a7b8';
const passphrase = 'a-very-secret-phrase';

beforeAll(async () => void (await cardMaster()), 120_000);

async function sender(options: SenderOptions): Promise<Sender> {
  const started = await startSender(options);
  onTestFinished(() => started.kill());
  return started;
}

/** Reads for some seconds what is sent, whichever of both has to be there first. */
async function readFrom(
  input: Partial<RecordingInput> & Pick<RecordingInput, 'type'>,
  options: Partial<SenderOptions> = {},
): Promise<{ reading: Reading; report: ContentReport }> {
  const type = input.type as SenderOptions['type'];
  const isCalled = ['SRT_URL', 'RTMP_URL', 'RTSP_URL', 'HLS', 'DASH', 'HTTP_FLV'].includes(type);
  const port = await freePort();
  let reading: Reading;
  if (isCalled) {
    const { url } = await sender({ type, port, ...options });
    reading = await readInput({ url, ...input });
  } else {
    reading = await readInput({ listenPort: port, ...input });
    await sender({ type, port, streamKey, ...options });
  }
  return { reading, report: await reportOf(reading) };
}

/** A stream that is cut off has lost what its last pictures refer to. */
const cutFrames = 8;

/** RTSP says in its first report, here after 10 s, what belongs together: until then each track begins with what came of it first. */
const unsyncedMs = 200;

function expectCard(report: ContentReport, mostApartMs = 40): void {
  expect(report.missing.filter(([from]) => from <= report.last - cutFrames)).toEqual([]);
  expect(report.unreadable).toBeLessThanOrEqual(cutFrames);
  expect(report.frames).toBeGreaterThan((seconds - 1.5) * 30);
  expect(report.tonePresent).toBe(true);
  expect(report.toneJumpsMs).toEqual([]);
  if (mostApartMs === 40) expectTogether(report.avOffsetsMs);
  else expect(Math.abs(report.avOffsetMedianMs ?? 0)).toBeLessThan(mostApartMs);
}

describe('reads every picture and all sound of', () => {
  test('SRT that we call, with a passphrase', async () => {
    const { report } = await readFrom({ type: 'SRT_URL' }, { passphrase });
    expectCard(report);
  });

  test('SRT that calls us, with a passphrase, and tells how the link is', async () => {
    const settings = { type: 'SRT_SERVER', passphrase, keyLength: 32 } as const;
    const port = await freePort();
    const reading = await readInput({ ...settings, listenPort: port, linkStats: true });
    await sender({ ...settings, port });
    // As often as it is asked it tells of the time since it was asked before.
    await reading.written(2);
    expect(reading.input.link()).toMatchObject({ activeStreams: 1 });
    expectCard(await reportOf(reading));
    const link = reading.input.link();
    expect(link).toMatchObject({ packetsLost: 0, packetsDropped: 0 });
    // 0.75 Mbit/s in packets of 1316 bytes: 70 a second.
    expect(link?.packetsReceived).toBeGreaterThan(200);
    expect(link?.rttMs).toBeLessThan(50);
    expect(link?.bitrate).toBeGreaterThan(300_000);
    expect(link?.bitrate).toBeLessThan(1_500_000);
  });

  test.each(['SRT_URL', 'SRT_SERVER'] as const)('%s, of which nobody wants to know how the link is', async (type) => {
    const { report, reading } = await readFrom({ type, passphrase, linkStats: false }, { passphrase });
    expectCard(report);
    expect(reading.input.link()).toBeNull();
  });

  test.each([true, false])('SRT of a server that is asked for a stream, link figures: %s', async (linkStats) => {
    const input = { type: 'SRT_URL', linkStats, ...(linkStats ? {} : { streamId: 'read:live/card' }) } as const;
    expectCard((await readFrom(input, { streamId: 'read:live/card' })).report);
  });

  test('RTMP that we call', async () => expectCard((await readFrom({ type: 'RTMP_URL' })).report));
  test('RTMP that is published to us', async () =>
    expectCard((await readFrom({ type: 'RTMP_SERVER', streamKey })).report));
  test('RTSP that we call, with a login', async () => {
    const { report } = await readFrom({ type: 'RTSP_URL' }, { login: { user: 'an@na', pass: 'p#w&x' } });
    expectCard(report, unsyncedMs);
  });
  test('RTSP that is announced to us', async () =>
    expectCard((await readFrom({ type: 'RTSP_SERVER', streamKey })).report));
  test('HLS', async () => expectCard((await readFrom({ type: 'HLS' })).report));
  test('DASH', async () => expectCard((await readFrom({ type: 'DASH' })).report));
  test('HTTP-FLV', async () => expectCard((await readFrom({ type: 'HTTP_FLV' })).report));
  test('UDP', async () => expectCard((await readFrom({ type: 'UDP' })).report));
  test('UDP of a multicast group', async () => {
    const group = '239.77.1.2';
    expectCard((await readFrom({ type: 'UDP', multicastGroup: group }, { group })).report);
  });
  test('RTP with MPEG-TS', async () => expectCard((await readFrom({ type: 'RTP' })).report));
  test('RTP of a multicast group', async () => {
    const group = '239.77.1.3';
    expectCard((await readFrom({ type: 'RTP', multicastGroup: group }, { group })).report);
  });
  test('RIST', async () => expectCard((await readFrom({ type: 'RIST' })).report));

  test.each(['card', 'opus'] as const)('RTP as its description says (%s)', async (variant) => {
    const port = await freePort();
    const described = { type: 'RTP', port, described: true, variant } as const;
    const first = await sender(described);
    const tracks = parseSessionDescription(first.description as string);
    await first.kill();
    const reading = readInput({ type: 'RTP', listenPort: port, tracks });
    await sender(described);
    expectCard(await reportOf(await reading));
  });

  test('RTP as its description says, of a source that has sent for a while', async () => {
    const { port, description } = await sender({ type: 'RTP', described: true });
    const tracks = parseSessionDescription(description as string);
    await new Promise((resolve) => setTimeout(resolve, 2_300));
    expectCard(await reportOf(await readInput({ type: 'RTP', listenPort: port, tracks })));
  });
});

async function reportOf(reading: Reading): Promise<ContentReport> {
  await reading.written(seconds);
  await reading.stop();
  return contentReport(reading.file);
}

/** Sources that cannot be recorded: each for real, and what a recording that waited for it says. */
import { createSocket } from 'node:dgram';
import { createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { JobReason } from '../../src/jobs/reasons.js';
import type { InputType, RecordingInput } from '../../src/recordings/config.js';
import { freePort } from '../../stack/ports.js';
import { classify } from '../../worker/streams/failures.js';
import { type Reading, readInput } from '../testkit/inputs.js';
import { startWebServer } from '../testkit/sender-servers.js';
import { type Sender, type SenderOptions, startSender } from '../testkit/senders.js';

type Given = Partial<RecordingInput> & { type: InputType };

const passphrase = 'a-very-secret-phrase';
const streamKey = 'a1b2c3d4e5f6a7b8';
/** Before the supervisor would have to end it. */
const limitMs = 13_000;

/** Waits until ffmpeg has given up, or long enough; answers why there is no media. */
async function reasonOf(reading: Reading, type: InputType, waitMs = limitMs): Promise<[JobReason, string]> {
  await Promise.race([reading.ended, sleep(waitMs)]);
  const { reason, message } = classify(reading.log(), type);
  return [reason, message];
}

async function expectReason(given: Given, reason: JobReason, words: RegExp, waitMs?: number): Promise<Reading> {
  const reading = await readInput(given);
  const [found, message] = await reasonOf(reading, given.type, waitMs);
  expect([found, message, reading.log()]).toEqual([reason, expect.stringMatching(words), expect.any(String)]);
  expect(message).not.toContain(passphrase);
  expect(message).not.toContain(streamKey);
  return reading;
}

async function sender(options: SenderOptions): Promise<Sender> {
  const started = await startSender(options);
  onTestFinished(() => started.kill());
  return started;
}

/** Says the same to everybody, and hangs up, or does not. */
async function babbler(bytes: Buffer | null): Promise<number> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => {});
    if (bytes) socket.end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as { port: number }).port;
}

async function web(status: number, body: string | Buffer, headers: Record<string, string> = {}): Promise<number> {
  const server = await startWebServer((_, response) => void response.writeHead(status, headers).end(body));
  onTestFinished(() => server.close());
  return server.port;
}

const garbage = Buffer.from('This is no media, whatever it was taken for. '.repeat(2_000));

describe('nobody is there', () => {
  test.each<[InputType, (port: number) => string]>([
    ['SRT_URL', (port) => `srt://127.0.0.1:${port}`],
    ['RTMP_URL', (port) => `rtmp://127.0.0.1:${port}/live/card`],
    ['RTMP_URL', (port) => `rtmps://127.0.0.1:${port}/live/card`],
    ['RTSP_URL', (port) => `rtsp://127.0.0.1:${port}/card`],
    ['HLS', (port) => `http://127.0.0.1:${port}/live.m3u8`],
    ['HLS', (port) => `https://127.0.0.1:${port}/live.m3u8`],
    ['DASH', (port) => `http://127.0.0.1:${port}/live.mpd`],
    ['HTTP_FLV', (port) => `http://127.0.0.1:${port}/live.flv`],
  ])('%s', async (type, url) => {
    await expectReason({ type, url: url(await freePort()) }, 'SOURCE_UNREACHABLE', /did not|could not be reached/);
  });

  test.each<InputType>(['UDP', 'RTP', 'SRT_SERVER', 'RTMP_SERVER', 'RTSP_SERVER', 'RIST'])('%s', async (type) => {
    const given = { type, listenPort: await freePort(), streamKey };
    await expectReason(given, 'SOURCE_UNREACHABLE', /Nobody has sent/, 2_000);
  });
});

describe('we are not let in', () => {
  test.each([true, false])('SRT with another passphrase, link figures: %s', async (linkStats) => {
    const { port } = await sender({ type: 'SRT_URL', passphrase });
    const given: Given = {
      ...{ type: 'SRT_URL', url: `srt://127.0.0.1:${port}`, linkStats },
      passphrase: 'another-secret-phrase',
    };
    const reading = await expectReason(given, 'SOURCE_REFUSED', /passphrase/);
    expect(reading.input.refusedBy(reading.log())?.reason).toBe('SOURCE_REFUSED');
  });

  test.each([true, false])('SRT without the passphrase, link figures: %s', async (linkStats) => {
    const { port } = await sender({ type: 'SRT_URL', passphrase });
    await expectReason({ type: 'SRT_URL', url: `srt://127.0.0.1:${port}`, linkStats }, 'SOURCE_REFUSED', /passphrase/);
  });

  test.each([true, false])('SRT of a server that does not have the stream, link figures: %s', async (linkStats) => {
    const { port } = await sender({ type: 'SRT_URL', streamId: 'read:live/card' });
    const given: Given = { type: 'SRT_URL', url: `srt://127.0.0.1:${port}`, streamId: 'read:live/other', linkStats };
    const reading = await expectReason(given, 'SOURCE_REFUSED', /stream id/);
    // It may be there in a moment.
    expect(reading.input.refusedBy(reading.log())).toBeNull();
  });

  test('RTSP with another password', async () => {
    const { port } = await sender({ type: 'RTSP_URL', login: { user: 'anna', pass: 'right' } });
    const given: Given = { type: 'RTSP_URL', url: `rtsp://anna:wrong@127.0.0.1:${port}/live/card` };
    const reading = await expectReason(given, 'SOURCE_REFUSED', /password/);
    expect(reading.input.refusedBy(reading.log())?.reason).toBe('SOURCE_REFUSED');
    expect(classify(reading.log(), 'RTSP_URL').message).not.toContain('wrong');
  });

  test.each([401, 403])('HLS that answers %d', async (status) => {
    const given: Given = { type: 'HLS', url: `http://127.0.0.1:${await web(status, 'no')}/live.m3u8` };
    const reading = await expectReason(given, 'SOURCE_REFUSED', /password|let us in/);
    expect(reading.input.refusedBy(reading.log())?.reason).toBe('SOURCE_REFUSED');
  });
});

describe('a publisher is not let in', () => {
  test.each([true, false])('SRT with another passphrase, link figures: %s', async (linkStats) => {
    const port = await freePort();
    const reading = await readInput({ type: 'SRT_SERVER', listenPort: port, passphrase, linkStats });
    await sender({ type: 'SRT_SERVER', port, passphrase: 'another-secret-phrase' });
    expect(await reasonOf(reading, 'SRT_SERVER', 3_000)).toEqual([
      'SOURCE_REFUSED',
      expect.stringMatching(/passphrase/),
    ]);
    // Others may still come with the right one.
    expect(reading.input.refusedBy(reading.log())).toBeNull();
  });

  test.each(['RTMP_SERVER', 'RTSP_SERVER'] as const)('%s with another key', async (type) => {
    const port = await freePort();
    const reading = await readInput({ type, listenPort: port, streamKey });
    const wrong = await sender({ type, port, streamKey: 'wrong' });
    await expect.poll(() => wrong.process.exitCode, { timeout: 5_000 }).not.toBeNull();
    expect(reading.bytes()).toBe(0);
    expect(await reasonOf(reading, type, 500)).toEqual(['SOURCE_REFUSED', expect.stringMatching(/stream key/)]);
    // Who has the key is let in afterwards.
    await sender({ type, port, streamKey });
    await reading.written(1);
  });
});

describe('what is there is no media', () => {
  test.each<[InputType, (port: number) => string]>([
    ['RTMP_URL', (port) => `rtmp://127.0.0.1:${port}/live/card`],
    ['RTSP_URL', (port) => `rtsp://127.0.0.1:${port}/card`],
    ['HLS', (port) => `http://127.0.0.1:${port}/live.m3u8`],
  ])('%s of a server that babbles', async (type, url) => {
    const [reason] = await reasonOf(await readInput({ type, url: url(await babbler(garbage)) }), type);
    expect(['SOURCE_UNREADABLE', 'SOURCE_UNREACHABLE']).toContain(reason);
  });

  test.each<InputType>(['HLS', 'DASH', 'HTTP_FLV'])('%s that is a text', async (type) => {
    const port = await web(200, garbage);
    await expectReason({ type, url: `http://127.0.0.1:${port}/live` }, 'SOURCE_UNREADABLE', /no media|no description/);
  });

  test.each([404, 500])('HLS that answers %d', async (status) => {
    const port = await web(status, 'no');
    const given: Given = { type: 'HLS', url: `http://127.0.0.1:${port}/live.m3u8` };
    await expectReason(given, 'SOURCE_UNREACHABLE', new RegExp(`status ${status}`));
  });

  test('RTSP of a path that nobody publishes', async () => {
    const { port } = await sender({ type: 'RTSP_URL' });
    await expectReason({ type: 'RTSP_URL', url: `rtsp://127.0.0.1:${port}/other` }, 'SOURCE_UNREACHABLE', /404/);
  });

  test('a playlist of nothing', async () => {
    const port = await web(200, '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-ENDLIST\n');
    await expectReason({ type: 'HLS', url: `http://127.0.0.1:${port}/live.m3u8` }, 'SOURCE_UNREADABLE', /no media/);
  });

  test('a playlist of texts', async () => {
    const server = await startWebServer((request, response) => {
      const list = '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na.ts\n#EXTINF:2,\nb.ts\n#EXT-X-ENDLIST\n';
      response.end(request.url?.endsWith('.m3u8') ? list : garbage);
    });
    onTestFinished(() => server.close());
    await expectReason(
      { type: 'HLS', url: `http://127.0.0.1:${server.port}/live.m3u8` },
      'SOURCE_UNREADABLE',
      /no media/,
    );
  });

  test.each<InputType>(['UDP', 'RTP'])('datagrams by %s', async (type) => {
    const port = await freePort();
    const socket = createSocket('udp4');
    const timer = setInterval(() => socket.send(garbage.subarray(0, 1_316), port, '127.0.0.1'), 2);
    onTestFinished(() => {
      clearInterval(timer);
      socket.close();
    });
    const reading = await readInput({ type, listenPort: port });
    expect(await reasonOf(reading, type, 20_000)).toEqual(['SOURCE_UNREADABLE', expect.any(String)]);
  });
});

describe('what is there is not what is recorded', () => {
  test('sound alone, where there should be a picture', async () => {
    const port = await freePort();
    const reading = await readInput({ type: 'UDP', listenPort: port }, { maps: ['0:v:0', '0:a:0?'] });
    await sender({ type: 'UDP', port, variant: 'audio' });
    expect((await reasonOf(reading, 'UDP'))[0]).toBe('SOURCE_WITHOUT_VIDEO');
  });

  test('pictures alone, where there should be sound', async () => {
    const port = await freePort();
    const reading = await readInput({ type: 'UDP', listenPort: port }, { maps: ['0:a:0'] });
    await sender({ type: 'UDP', port, variant: 'video' });
    expect((await reasonOf(reading, 'UDP'))[0]).toBe('SOURCE_WITHOUT_AUDIO');
  });
});

describe('the port is in use', () => {
  const listened: Given[] = [{ type: 'UDP' }, { type: 'RTP' }, { type: 'SRT_SERVER' }, { type: 'RIST' }];
  test.each([...listened, { type: 'SRT_SERVER', linkStats: false } as const])('$type', async (given) => {
    const port = await freePort();
    const taken = createSocket('udp4');
    await new Promise<void>((resolve) => taken.bind(port, '127.0.0.1', resolve));
    onTestFinished(() => void taken.close());
    await expectReason({ ...given, listenPort: port }, 'PORT_IN_USE', /port/);
  });

  test.each<InputType>(['RTMP_SERVER', 'RTSP_SERVER'])('%s', async (type) => {
    const port = await babbler(null);
    const error = await readInput({ type, listenPort: port, streamKey }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(Error);
    expect(classify((error as Error).message, type).reason).toBe('PORT_IN_USE');
  });
});

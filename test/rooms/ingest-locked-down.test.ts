import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { isolatedConfig, temporaryDataFolder } from '../../stack/isolated.js';
import { type MediamtxPorts, prepareMediamtx } from '../../stack/mediamtx.js';
import { choosePorts } from '../../stack/ports.js';
import { type SupervisedProcess, supervise } from '../../stack/supervisor.js';
import { startGatekeeper } from '../../worker/ingest/gatekeeper.js';
import { createIngestServer, type IngestServerAddress, rtspUrl, timedUrl } from '../../worker/ingest/server.js';
import { startEncoder } from '../testkit/encoder.js';

const streamKey = 'a-stream-key-of-a-room';
const readingPassword = 'what-our-reader-says';
// Six programs at once, each of which may take most of a minute where other tests run beside it.
vi.setConfig({ testTimeout: 120_000 });
const free = { host: '127.0.0.1', port: 0, needed: true };

const folder = temporaryDataFolder();
let ports: MediamtxPorts;
let secret: string;
let process: SupervisedProcess;
let gatekeeper: { close(): Promise<void> };

beforeAll(async () => {
  ports = await choosePorts({ rtmp: free, srt: { ...free, protocol: 'udp' }, rtsp: free, api: free, auth: free });
  const { secret: made, spec } = prepareMediamtx(isolatedConfig(folder.dataDir), ports);
  secret = made;
  process = supervise(spec, () => {});
  await process.ready();
  gatekeeper = await startGatekeeper({
    ...{ port: ports.auth, secret, readingPassword, log: pino({ level: 'silent' }) },
    isStreamKey: async (key) => key === streamKey,
  });
});
afterAll(async () => {
  await process?.stop();
  folder.remove();
});

const place = (scheme: 'rtmp' | 'rtsp', path: string) => `${scheme}://127.0.0.1:${ports[scheme]}/${path}`;
const srtPlace = (streamId: string) => `srt://127.0.0.1:${ports.srt}?streamid=${streamId}&pkt_size=1316`;
const address = (): IngestServerAddress => ({
  ...{ apiPort: ports.api, rtspPort: ports.rtsp, rtmpPort: ports.rtmp, srtPort: ports.srt, host: '127.0.0.1', secret },
});
const streams = () => createIngestServer(address()).streams();

/** Whether there is something to read. */
function canRead(url: string): Promise<boolean> {
  const reader = spawn('ffprobe', ['-v', 'error', url], { stdio: 'ignore', timeout: 45_000 });
  return once(reader, 'exit').then(([code]) => code === 0);
}

/** Whether ffmpeg could send there for 5 s: by RTMP one is refused after 2 s. */
function canSend(url: string): Promise<boolean> {
  const picture = '-re -f lavfi -i testsrc=s=64x64:r=10 -t 5 -c:v libx264 -preset ultrafast';
  const format = url.startsWith('rtsp') ? 'rtsp' : url.startsWith('srt') ? 'mpegts' : 'flv';
  const args = ['-nostdin', '-v', 'error', ...picture.split(' '), '-f', format, url];
  const sender = spawn('ffmpeg', args, { stdio: 'ignore', timeout: 45_000 });
  return once(sender, 'exit').then(([code]) => code === 0);
}

test('what an encoder sends is read by us, and by nobody who lacks our password', async () => {
  startEncoder(place('rtmp', `live/${streamKey}`));
  await expect.poll(streams, { timeout: 30_000 }).toMatchObject([{ streamKey, protocol: 'RTMP' }]);
  const readable = {
    us: canRead(rtspUrl(address(), streamKey, readingPassword)),
    usByRtmp: canRead(timedUrl(address(), { streamKey, codecs: ['H264'] }, readingPassword)),
    usBySrt: canRead(timedUrl(address(), { streamKey, codecs: ['H265'] }, readingPassword)),
    wrongPassword: canRead(rtspUrl(address(), streamKey, 'something-else')),
    rtmp: canRead(place('rtmp', `live/${streamKey}`)),
    rtmpWithSecret: canRead(place('rtmp', `live/${streamKey}?user=tapedeck&pass=${secret}`)),
    srt: canRead(srtPlace(`read:live/${streamKey}`)),
  };
  expect(await settled(readable)).toEqual({
    ...{ us: true, usByRtmp: true, usBySrt: true },
    ...{ wrongPassword: false, rtmp: false, rtmpWithSecret: false, srt: false },
  });
});

test('nobody sends without a stream key, to another place, or by another protocol', async () => {
  const sendable = {
    withKey: canSend(srtPlace(`publish:live/${streamKey}`)),
    withoutKey: canSend(place('rtmp', 'live/another-stream-key-of-none')),
    toAnotherPlace: canSend(place('rtmp', `other/${streamKey}`)),
    deeper: canSend(srtPlace(`publish:live/${streamKey}/more`)),
    byRtsp: canSend(place('rtsp', `live/${streamKey}`)),
    withTheSecret: canSend(place('rtsp', `live/${streamKey}`).replace('//', `//tapedeck:${secret}@`)),
  };
  expect(await settled(sendable)).toEqual({
    ...{ withKey: true, withoutKey: false, toAnotherPlace: false, deeper: false, byRtsp: false, withTheSecret: false },
  });
});

test('its API, which can change its settings, is closed to whoever lacks the secret', async () => {
  const url = `http://127.0.0.1:${ports.api}/v3/config/global/patch`;
  for (const credentials of ['', 'tapedeck:', `tapedeck:${readingPassword}`, `tapedeck:${streamKey}`]) {
    const headers = { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` };
    const { status } = await fetch(url, { method: 'PATCH', headers, body: '{"logLevel":"debug"}' });
    expect(status).toBe(401);
  }
});

test('while we do not answer whether somebody may, nobody may', async () => {
  await gatekeeper.close();
  expect(await canSend(place('rtmp', `live/${streamKey}`))).toBe(false);
});

async function settled<Key extends string>(asked: Record<Key, Promise<boolean>>): Promise<Record<string, boolean>> {
  const answers = await Promise.all(Object.values<Promise<boolean>>(asked));
  return Object.fromEntries(Object.keys(asked).map((name, index) => [name, answers[index] as boolean]));
}

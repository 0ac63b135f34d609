/** URLs of live sources that a client gives: read into typed values, and refused where they lead inside or say what is not taken. */
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config.js';
import { createGate } from '../../src/net/gate.js';
import { AddressRefusedError } from '../../src/net/refusal.js';
import {
  parseStreamUrl,
  portsOfType,
  resolveStream,
  shownStreamUrl,
  type UrlType,
  writeStreamUrl,
} from '../../src/net/stream-url.js';
import type { InputType } from '../../src/recordings/config.js';
import { UrlRefusedError, ValidationError } from '../../src/services/errors.js';
import { createStreamUrlCheck } from '../../src/services/stream-urls.js';

const config = { ...loadConfig({ NODE_ENV: 'test' }), allowedNetworks: ['10.9.0.0/16', '239.0.0.0/8'] };
const check = createStreamUrlCheck(config);
const passphrase = 'a-very-secret-phrase';

describe('takes what each type of input is called with', () => {
  test.each<[UrlType, string, string]>([
    ['SRT_URL', 'srt://live.example.org:9000', 'srt://live.example.org:9000'],
    ['SRT_URL', 'SRT://LIVE.example.org:9000?mode=caller&transtype=live', 'srt://live.example.org:9000'],
    ['SRT_URL', 'srt://[2606:4700::1111]:9000', 'srt://[2606:4700::1111]:9000'],
    ['SRT_URL', 'srt://8.8.8.8:9000?latency=300&pbkeylen=32', 'srt://8.8.8.8:9000?pbkeylen=32&latency=300'],
    ['RTMP_URL', 'rtmp://live.example.org/app/key?sig=1', 'rtmp://live.example.org:1935/app/key?sig=1'],
    ['RTMP_URL', 'rtmps://live.example.org/app/inst/key', 'rtmps://live.example.org:443/app/inst/key'],
    ['RTSP_URL', 'rtsp://u%40x:p%3Aw@8.8.8.8/cam?ch=1', 'rtsp://u%40x:p%3Aw@8.8.8.8:554/cam?ch=1'],
    ['RTSP_URL', 'rtsps://8.8.8.8/cam', 'rtsps://8.8.8.8:322/cam'],
    ['HLS', 'https://example.org/live.m3u8?t=1#x', 'https://example.org:443/live.m3u8?t=1'],
    ['DASH', 'http://user:word@example.org:8080/a.mpd', 'http://user:word@example.org:8080/a.mpd'],
    ['HTTP_FLV', 'http://example.org', 'http://example.org:80/'],
    ['UDP', 'udp://239.1.2.3:5004', 'udp://239.1.2.3:5004'],
    ['RTP', 'rtp://239.1.2.3:5004', 'rtp://239.1.2.3:5004'],
    ['HLS', 'http://10.9.1.2:8080/x.m3u8', 'http://10.9.1.2:8080/x.m3u8'],
  ])('%s %s', async (type, text, written) => {
    expect(await check(type, text)).toBe(written);
  });
});

describe('refuses what is no URL of the type, and says what is', () => {
  test.each<[InputType, string, RegExp]>([
    ['SRT_URL', 'live.example.org:9000', /Write it in full|not taken/],
    ['SRT_URL', 'srt://live.example.org', /no port/],
    ['SRT_URL', 'srt://:9000', /not a URL/],
    ['SRT_URL', 'rtmp://live.example.org/a/b', /Use srt/],
    ['SRT_URL', 'srt://live.example.org:9000?mode=listener', /SRT server/],
    ['SRT_URL', 'srt://live.example.org:9000?mode=rendezvous', /mode=caller/],
    ['SRT_URL', 'srt://live.example.org:9000?maxbw=1', /"maxbw" is not taken/],
    ['SRT_URL', 'srt://live.example.org:9000?passphrase=short', /10 to 79/],
    ['SRT_URL', 'srt://live.example.org:9000?pbkeylen=8', /16, 24 or 32/],
    ['SRT_URL', 'srt://live.example.org:9000?latency=200000', /milliseconds/],
    ['SRT_URL', 'srt://live.example.org:9000?latency=-1', /milliseconds/],
    ['SRT_URL', 'srt://live.example.org:9000?streamid=a%00b', /control character/],
    ['SRT_URL', 'srt://live.example.org:9000?streamid=%zz', /"%"/],
    ['SRT_URL', 'srt://live.example.org:9000/path', /no path/],
    ['SRT_URL', 'srt://u:p@live.example.org:9000', /no user names/],
    ['RTMP_URL', 'rtmp://live.example.org/app', /no app or no stream key/],
    ['RTMP_URL', 'rtmpt://live.example.org/app/key', /rtmp or rtmps/],
    ['RTSP_URL', 'http://example.org/cam', /Use rtsp or rtsps/],
    ['HLS', 'file:///etc/passwd', /Use http or https/],
    ['HLS', 'concat:http://example.org/a|file:///etc/passwd', /Use http or https/],
    ['HLS', 'http:example.org/a', /not a URL/],
    ['HLS', 'http://example.org/a b', /percent-encoded/],
    ['HLS', 'http://example.org\\@169.254.169.254/', /backslash/],
    ['HLS', `http://example.org/${'a'.repeat(3_000)}`, /at most 2048/],
    ['UDP', 'udp://192.168.1.2:5004', /not a multicast group/],
    ['UDP', 'udp://example.org:5004', /not a multicast group/],
    ['UDP', 'udp://239.1.2.3:5004?localport=80', /more than a group and a port/],
    ['RTP', 'udp://239.1.2.3:5004', /Use rtp/],
    ['SRT_SERVER', 'srt://live.example.org:9000', /has no URL/],
    ['ROOM', 'http://example.org/', /has no URL/],
  ])('%s %s', async (type, text, message) => {
    const refusal = await check(type, text, 'input.url').catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(ValidationError);
    expect(refusal).toMatchObject({ issues: [{ field: 'input.url', message: expect.stringMatching(message) }] });
  });
});

describe('refuses what leads inside, whatever the protocol', () => {
  test.each<[InputType, string]>([
    ['SRT_URL', 'srt://127.0.0.1:9000'],
    ['SRT_URL', 'srt://2130706433:9000'],
    ['SRT_URL', 'srt://[::ffff:10.0.0.1]:9000'],
    ['SRT_URL', 'srt://8.8.8.8:53'],
    ['RTMP_URL', 'rtmp://169.254.169.254/app/key'],
    ['RTMP_URL', 'rtmp://8.8.8.8:25/app/key'],
    ['RTSP_URL', 'rtsp://0x7f.1/cam'],
    ['RTSP_URL', 'rtsp://8.8.8.8:22/cam'],
    ['HLS', 'http://169.254.169.254/latest/meta-data'],
    ['HLS', 'http://localhost:8080/x.m3u8'],
    ['HLS', 'http://8.8.8.8:554/x.m3u8'],
    ['DASH', 'https://192.168.0.1/x.mpd'],
    ['HTTP_FLV', 'http://[::1]/x.flv'],
    ['UDP', 'udp://224.0.0.251:5353'],
  ])('%s %s', async (type, text) => {
    await expect(check(type, text)).rejects.toBeInstanceOf(UrlRefusedError);
  });

  test('a port of the service itself, on this machine', async () => {
    const own = createStreamUrlCheck({ ...config, allowedNetworks: ['127.0.0.0/8'] });
    await expect(own('SRT_URL', `srt://127.0.0.1:${config.temporal.port}`)).rejects.toBeInstanceOf(UrlRefusedError);
    expect(await own('SRT_URL', 'srt://127.0.0.1:9000')).toBe('srt://127.0.0.1:9000');
  });
});

test('a refusal does not repeat what opens the source', async () => {
  const texts: [UrlType, string][] = [
    ['SRT_URL', `srt://127.0.0.1:9000?passphrase=${passphrase}&streamid=hush`],
    ['RTSP_URL', 'rtsp://who:hush@127.0.0.1/cam?token=hush'],
    ['RTMP_URL', 'rtmp://127.0.0.1/app/hush'],
    ['HLS', 'http://who:hush@127.0.0.1/a.m3u8?token=hush'],
  ];
  for (const [type, text] of texts) {
    const refusal = (await check(type, text).catch((error: unknown) => error)) as UrlRefusedError;
    expect(refusal).toBeInstanceOf(UrlRefusedError);
    expect(`${refusal.url} ${refusal.message}`).not.toMatch(/hush|secret/);
  }
});

test('reads what an SRT URL says of the connection, as others write it', () => {
  const text = `srt://h.example:9000?streamid=#!::r=live/one,m=request&passphrase=a+b%20c%26d+efg&pbkeylen=24&latency=80`;
  const address = parseStreamUrl('SRT_URL', text);
  const settings = {
    streamId: '#!::r=live/one,m=request',
    passphrase: 'a+b c&d+efg',
    keyLength: 24,
    latencyMs: 80,
  };
  expect(address).toEqual({ kind: 'srt', host: 'h.example', port: 9000, settings });
  expect(parseStreamUrl('SRT_URL', writeStreamUrl(address))).toEqual(address);
  expect(shownStreamUrl(address)).toBe('srt://h.example:9000');
});

test('reads user and password apart from the address', () => {
  const address = parseStreamUrl('RTSP_URL', 'rtsp://anna%40home:p%3A%2Fw@camera.example/live');
  expect(address).toMatchObject({ user: 'anna@home', password: 'p:/w', host: 'camera.example', port: 554 });
  expect(writeStreamUrl(address, 40_000)).toBe('rtsp://anna%40home:p%3A%2Fw@camera.example:40000/live');
});

describe('what is called is the address that was checked', () => {
  const gateFor = (answers: string[][], ports: readonly number[] = []) => {
    let asked = 0;
    const lookup = async () => answers[asked++] ?? [];
    return createGate({ policy: { allowedNetworks: [], allowedHosts: [], deniedPorts: [] }, lookup, ports });
  };

  test('a name is looked up once, and becomes a literal address', async () => {
    const gate = gateFor([['8.8.4.4'], ['127.0.0.1']]);
    expect(await resolveStream(gate, { host: 'turns.example', port: 9000 })).toEqual({ ip: '8.8.4.4', port: 9000 });
    await expect(resolveStream(gate, { host: 'turns.example', port: 9000 })).rejects.toBeInstanceOf(
      AddressRefusedError,
    );
  });

  test('one address inside condemns the name', async () => {
    const gate = gateFor([['8.8.4.4', '10.0.0.1']]);
    await expect(resolveStream(gate, { host: 'both.example', port: 9000 })).rejects.toBeInstanceOf(AddressRefusedError);
  });

  test('IPv4 goes first, where a name has both', async () => {
    const gate = gateFor([['2606:4700::1111', '8.8.4.4']]);
    expect(await resolveStream(gate, { host: 'both.example', port: 9000 })).toMatchObject({ ip: '8.8.4.4' });
  });

  test('RTSP may have its own port, and others may not', async () => {
    expect(await resolveStream(gateFor([], portsOfType('RTSP_URL')), { host: '8.8.8.8', port: 554 })).toBeTruthy();
    const refusal = resolveStream(gateFor([], portsOfType('HLS')), { host: '8.8.8.8', port: 554 });
    await expect(refusal).rejects.toBeInstanceOf(AddressRefusedError);
  });
});

/** A URL that a client gives: whatever way an inside address is written, it is recognised. */
import { hostname } from 'node:os';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config.js';
import type { EgressPolicy } from '../../src/jobs/capture.js';
import { classify, parseAddress } from '../../src/net/addresses.js';
import { createGate } from '../../src/net/gate.js';
import { AddressRefusedError, type RefusalReason } from '../../src/net/refusal.js';
import { egressPolicy } from '../../src/services/page-urls.js';
import { callbackPolicy } from '../../src/webhooks/callback-url.js';

const closed: EgressPolicy = { allowedNetworks: [], allowedHosts: [], deniedPorts: [] };

function refusalOf(text: string, policy: Partial<EgressPolicy> = {}): RefusalReason | 'none' {
  try {
    createGate({ policy: { ...closed, ...policy } }).checkUrl(text);
    return 'none';
  } catch (error) {
    if (error instanceof AddressRefusedError) return error.reason;
    throw error;
  }
}

describe('refuses an inside address', () => {
  test.each([
    ['loopback', 'http://127.0.0.1/'],
    ['another loopback address', 'http://127.8.9.10:8080/x'],
    ['loopback by name', 'http://localhost/'],
    ['loopback by name in capitals, with a final dot', 'http://LOCALHOST./'],
    ['a name below localhost', 'http://db.localhost/'],
    ['one decimal number', 'http://2130706433/'],
    ['one hexadecimal number', 'http://0x7f000001/'],
    ['one octal number', 'http://017700000001/'],
    ['octal parts', 'http://0177.0.0.01/'],
    ['hexadecimal parts', 'http://0x7f.0x0.0x0.0x1/'],
    ['mixed number systems', 'http://0x7f.0.00.1/'],
    ['two parts', 'http://127.1/'],
    ['three parts', 'http://127.0.1/'],
    ['a final dot', 'http://127.0.0.1./'],
    ['percent-encoded digits', 'http://%31%32%37.0.0.1/'],
    ['percent-encoded dots', 'http://127%2e0%2e0%2e1/'],
    ['full-width digits', 'http://１２７.0.0.1/'],
    ['circled digits', 'http://①②⑦.⓪.⓪.①/'],
    ['ideographic full stops', 'http://127。0。0。1/'],
    ['a soft hyphen between the digits', 'http://12\u00ad7.0.0.1/'],
    ['full-width letters in localhost', 'http://ｌｏｃａｌｈｏｓｔ/'],
    ['the scheme in capitals', 'HTTP://127.0.0.1/'],
    ['the unspecified address', 'http://0.0.0.0/'],
    ['the unspecified address as a zero', 'http://0/'],
    ['the block of the unspecified address', 'http://0.1.2.3/'],
    ['private class A', 'http://10.1.2.3/'],
    ['private class B', 'http://172.31.255.255/'],
    ['private class C', 'https://192.168.1.1/admin'],
    ['private class C as one number', 'http://3232235777/'],
    ['link-local', 'http://169.254.1.1/'],
    ['carrier-grade NAT', 'http://100.64.0.1/'],
    ['benchmarking', 'http://198.18.0.1/'],
    ['documentation', 'http://192.0.2.1/'],
    ['documentation 2', 'http://203.0.113.9/'],
    ['protocol assignments', 'http://192.0.0.8/'],
    ['multicast', 'http://224.0.0.1/'],
    ['broadcast', 'http://255.255.255.255/'],
    ['the block for the future', 'http://240.0.0.1/'],
    ['IPv6 loopback', 'http://[::1]/'],
    ['IPv6 loopback in full', 'http://[0000:0000:0000:0000:0000:0000:0000:0001]/'],
    ['IPv6 unspecified', 'http://[::]/'],
    ['IPv4 mapped into IPv6', 'http://[::ffff:127.0.0.1]/'],
    ['IPv4 mapped into IPv6, in hexadecimal', 'http://[::ffff:7f00:1]/'],
    ['IPv4-compatible IPv6', 'http://[::127.0.0.1]/'],
    ['IPv4-translated IPv6', 'http://[::ffff:0:127.0.0.1]/'],
    ['NAT64', 'http://[64:ff9b::10.0.0.1]/'],
    ['local NAT64', 'http://[64:ff9b:1::10.0.0.1]/'],
    ['6to4', 'http://[2002:7f00:1::]/'],
    ['Teredo', 'http://[2001:0:53aa:64c:0:0:80ff:fffe]/'],
    ['ISATAP', 'http://[2606:4700::5efe:10.0.0.1]/'],
    ['unique local', 'http://[fd12:3456::1]/'],
    ['IPv6 link-local', 'http://[fe80::1]/'],
    ['site-local', 'http://[fec0::1]/'],
    ['IPv6 multicast', 'http://[ff02::1]/'],
    ['IPv6 documentation', 'http://[2001:db8::1]/'],
    ['IPv6 that was never given out', 'http://[4000::1]/'],
    ['IPv6 discard', 'http://[100::1]/'],
    ['segment routing', 'http://[5f00::1]/'],
  ])('%s: %s', (_, url) => {
    expect(refusalOf(url)).toBe('address');
  });
});

test.each([
  'http://169.254.169.254/latest/meta-data/',
  'http://2852039166/',
  'http://[::ffff:a9fe:a9fe]/',
  'http://[64:ff9b::169.254.169.254]/',
  'http://[2002:a9fe:a9fe::]/',
  'http://169.254.170.2/',
  'http://100.100.100.200/',
  'http://168.63.129.16/',
  'http://[fd00:ec2::254]/',
  'http://[fe80::a9fe:a9fe]/',
])('refuses the metadata address %s whatever is allowed', (url) => {
  const allowedNetworks = ['0.0.0.0/0', '::/0', '169.254.0.0/16', '169.254.169.254'];
  const allowedHosts = ['169.254.169.254:80'];
  expect(() => createGate({ policy: { ...closed, allowedNetworks, allowedHosts } }).checkUrl(url)).toThrow('metadata');
});

test.each([
  ['scheme', 'file:///etc/passwd'],
  ['scheme', 'ftp://example.org/'],
  ['scheme', 'gopher://127.0.0.1:6379/_x'],
  ['scheme', 'javascript:alert(1)'],
  ['scheme', 'data:text/html,hello'],
  ['scheme', 'chrome://settings'],
  ['scheme', 'view-source:http://example.org/'],
  ['scheme', 'ws://example.org/'],
  ['malformed', ''],
  ['malformed', 'example.org'],
  ['malformed', 'http:example.org'],
  ['malformed', 'http:///example.org'],
  ['malformed', 'http://'],
  ['malformed', 'http://./'],
  ['malformed', 'http://example.org../'],
  ['malformed', 'http://[fe80::1%25eth0]/'],
  ['malformed', 'http://[::1/'],
  ['malformed', 'http://256.256.256.256/'],
  ['malformed', 'http://example.org\\@127.0.0.1/'],
  ['malformed', ' http://example.org/'],
  ['malformed', 'http://exam\tple.org/'],
  ['malformed', 'http://example.org/\r\nHost: inside'],
  ['malformed', 'http://example.org:99999/'],
  ['credentials', 'http://user:secret@example.org/'],
  ['credentials', 'http://example.org@127.0.0.1/'],
  ['credentials', 'http://@example.org/'],
  ['port', 'http://example.org:0/'],
  ['port', 'http://example.org:22/'],
  ['port', 'https://example.org:25/'],
] as const)('refuses as %s: %s', (reason, url) => {
  expect(refusalOf(url)).toBe(reason);
});

test('refuses a URL of more than 2048 characters at once', () => {
  const longest = `https://example.org/${'a'.repeat(2028)}`;
  expect(refusalOf(longest)).toBe('none');
  expect(refusalOf(`${longest}a`)).toBe('too-long');
  expect(refusalOf('a'.repeat(1_000_000))).toBe('too-long');
});

test.each([
  ['https://example.org/', 'https://example.org/'],
  ['HTTPS://Example.ORG.:8443/a?b=c#d', 'https://example.org:8443/a?b=c#d'],
  ['http://bücher.example/ü', 'http://xn--bcher-kva.example/%C3%BC'],
  ['http://1.1.1.1/', 'http://1.1.1.1/'],
  ['http://0x01010101/', 'http://1.1.1.1/'],
  ['http://[2606:4700::1111]/', 'http://[2606:4700::1111]/'],
  ['http://[64:ff9b::1.1.1.1]/', 'http://[64:ff9b::101:101]/'],
])('takes %s as %s', (text, href) => {
  expect(createGate({ policy: closed }).checkUrl(text).href).toBe(href);
});

test('reaches an inside address in an allowed network, however it is written', () => {
  const allowedNetworks = ['127.0.0.0/8', '::1/128', '10.1.0.0/16'];
  for (const url of [
    'http://127.0.0.1:3000/',
    'http://localhost/',
    'http://[::ffff:10.1.2.3]/',
    'http://[64:ff9b::10.1.2.3]/',
  ]) {
    expect(refusalOf(url, { allowedNetworks })).toBe('none');
  }
  expect(refusalOf('http://10.2.0.1/', { allowedNetworks })).toBe('address');
});

test('reaches an allowed host at its port only', () => {
  const allowedHosts = ['127.0.0.1:4000', '[::1]:4000', 'localhost:4000'];
  expect(refusalOf('http://127.0.0.1:4000/demo', { allowedHosts })).toBe('none');
  expect(refusalOf('http://[::1]:4000/demo', { allowedHosts })).toBe('none');
  expect(refusalOf('http://localhost:4000/demo', { allowedHosts })).toBe('none');
  expect(refusalOf('http://127.0.0.1:4001/demo', { allowedHosts })).toBe('address');
  expect(refusalOf('http://127.0.0.2:4000/demo', { allowedHosts })).toBe('address');
});

test('never reaches the ports of our own database and engine, on any address of this machine', () => {
  const policy = { allowedNetworks: ['0.0.0.0/0', '::/0'], allowedHosts: ['127.0.0.1:5432'], deniedPorts: [5432] };
  for (const host of [
    '127.0.0.1',
    '127.9.9.9',
    'localhost',
    '[::1]',
    '0.0.0.0',
    '[::ffff:127.0.0.1]',
    '[64:ff9b::127.0.0.1]',
  ]) {
    expect(refusalOf(`http://${host}:5432/`, policy)).toBe('port');
  }
  expect(refusalOf('http://10.0.0.1:5432/', policy)).toBe('none');
});

test.each(['10.0.0/8', '10.0.0.0/33', 'inside', '', '::1/129', '0x7f000001/8'])(
  'does not start with the malformed network "%s"',
  (network) => {
    expect(() => createGate({ policy: { ...closed, allowedNetworks: [network] } })).toThrow('is not a network');
  },
);

test('tells the kinds of addresses apart', () => {
  const kinds = [
    '8.8.8.8',
    '127.0.0.1',
    '10.0.0.1',
    'fd00::1',
    '100.64.0.1',
    '2002:808:808::',
    '240.0.0.1',
    '2a00::1',
  ].map((text) => {
    const address = parseAddress(text);
    return address && classify(address);
  });
  expect(kinds).toEqual(['public', 'loopback', 'private', 'private', 'shared', 'tunnel', 'reserved', 'public']);
});

describe('a storage on this machine is reached by no page and no callback', () => {
  const withStorage = (endpoint: string) => loadConfig({ S3_BUCKET: 'b', S3_ENDPOINT: endpoint });

  test.each([
    ['by its address', 'http://127.0.0.1:9000'],
    ['by its IPv6 address', 'http://[::1]:9000'],
    ['by name', 'http://localhost:9000'],
    ['by the name of the machine', `http://${hostname()}:9000`],
  ])('given %s', (_how, endpoint) => {
    const config = withStorage(endpoint);
    for (const policy of [egressPolicy(config, 'http://page.test/'), callbackPolicy(config)]) {
      expect(refusalOf('http://127.0.0.1:9000/', policy)).toBe('port');
      expect(refusalOf('http://127.0.0.1:9001/', policy)).toBe('none');
    }
  });

  test('one that is elsewhere takes no port from the pages here', () => {
    const policy = egressPolicy(withStorage('https://s3.example.test'), 'http://page.test/');
    expect(refusalOf('https://127.0.0.1/', policy)).toBe('none');
  });
});

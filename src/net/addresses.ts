/** What kind of place an IP address is: the ground on which the gate lets a connection pass or refuses it. */
import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** `public` is the open internet; everything else is somebody's inside, or nobody's at all. */
export type AddressKind =
  | 'public'
  | 'loopback'
  | 'private'
  | 'link-local'
  | 'shared'
  | 'multicast'
  | 'broadcast'
  | 'unspecified'
  | 'tunnel'
  | 'reserved'
  | 'metadata';

/** A range of addresses, parsed from CIDR notation. */
export type Network = readonly [Address, number];

/** How an address of each kind is called in a message. */
export const kindNames: Record<AddressKind, string> = {
  public: 'a public address',
  loopback: 'a loopback address',
  private: 'a private address',
  'link-local': 'a link-local address',
  shared: 'an address of a shared (carrier-grade NAT) network',
  multicast: 'a multicast address',
  broadcast: 'a broadcast address',
  unspecified: 'the unspecified address',
  tunnel: 'an IPv6 transition address that can hide another address',
  reserved: 'a reserved address',
  metadata: 'a cloud metadata address, which hands out credentials',
};

// AWS, Azure and GCP instance data; ECS and EKS credentials; Scaleway, Tencent; Oracle; Azure wire server; Alibaba. Then the same for IPv6.
const metadataAddresses = new Set([
  '169.254.169.254',
  '169.254.170.2',
  '169.254.170.23',
  '169.254.42.42',
  '169.254.0.23',
  '192.0.0.192',
  '168.63.129.16',
  '100.100.100.200',
  'fd00:ec2::254',
  'fd00:ec2::23',
  'fd20:ce::254',
  'fd00:42::42',
  'fe80::a9fe:a9fe',
]);

const kindsByRange: Partial<Record<string, AddressKind>> = {
  loopback: 'loopback',
  private: 'private',
  uniqueLocal: 'private',
  deprecatedSiteLocal: 'private',
  linkLocal: 'link-local',
  carrierGradeNat: 'shared',
  multicast: 'multicast',
  broadcast: 'broadcast',
  unspecified: 'unspecified',
  '6to4': 'tunnel',
  teredo: 'tunnel',
  rfc6145: 'tunnel',
  rfc6052: 'tunnel',
};

const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3');
const wellKnownNat64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96');

/** Reads an address in its one plain form: four decimal numbers, or IPv6 without brackets and zone. Undefined: it is a name. */
export function parseAddress(text: string): Address | undefined {
  if (text.includes('%')) return undefined;
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  return ipaddr.IPv6.isValid(text) ? unmapped(ipaddr.IPv6.parse(text)) : undefined;
}

/** Reads `10.0.0.0/8` or a single address. Throws TypeError in words that name the text. */
export function parseNetwork(text: string): Network {
  const [base = '', prefix, ...rest] = text.split('/');
  const address = parseAddress(base);
  const longest = address?.kind() === 'ipv4' ? 32 : 128;
  const bits = prefix === undefined ? longest : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
  if (address && bits <= longest && rest.length === 0) return [address, bits];
  throw new TypeError(`"${text}" is not a network. Write it as an address and a prefix length, such as 10.0.0.0/8.`);
}

export function classify(address: Address): AddressKind {
  if ([address, ...embedded(address)].some((each) => metadataAddresses.has(each.toString()))) return 'metadata';
  // Networks that have only IPv6 reach every IPv4 host of the internet through this prefix.
  if (isWithin(address, wellKnownNat64)) return classify(lowestBits(address as ipaddr.IPv6));
  const range = address.range();
  // What the library does not name is public only inside the one block that is given out at all.
  if (range === 'unicast')
    return address.kind() === 'ipv4' || isPublicIPv6(address as ipaddr.IPv6) ? 'public' : 'reserved';
  return kindsByRange[range] ?? 'reserved';
}

/** True if the address, or the IPv4 address that NAT64 makes of it, lies in the network. */
export function isWithin(address: Address, network: Network): boolean {
  const [base, bits] = network;
  if (base.kind() === address.kind()) return address.match(base, bits);
  if (address.kind() === 'ipv4' || base.kind() === 'ipv6') return false;
  return isWithin(address, wellKnownNat64) && lowestBits(address as ipaddr.IPv6).match(base, bits);
}

function isPublicIPv6(address: ipaddr.IPv6): boolean {
  // ISATAP writes an IPv4 address behind this mark into any prefix.
  const isatap = (address.parts[4] === 0 || address.parts[4] === 0x200) && address.parts[5] === 0x5efe;
  return address.match(globalUnicast) && !isatap;
}

/** IPv4 addresses that an IPv6 address may stand for: its last 32 bits plain, or inverted (Teredo), or its second and third group (6to4). */
function embedded(address: Address): ipaddr.IPv4[] {
  if (address.kind() === 'ipv4') return [];
  const { parts } = address as ipaddr.IPv6;
  const [, second = 0, third = 0] = parts;
  const [high = 0, low = 0] = parts.slice(6);
  switch (address.range()) {
    case 'rfc6145':
    case 'rfc6052':
      return [fromGroups(high, low)];
    case '6to4':
      return [fromGroups(second, third)];
    case 'teredo':
      return [fromGroups(parts[2] ?? 0, parts[3] ?? 0), fromGroups(high ^ 0xffff, low ^ 0xffff)];
    default:
      return [];
  }
}

function lowestBits(address: ipaddr.IPv6): ipaddr.IPv4 {
  const [high = 0, low = 0] = address.parts.slice(6);
  return fromGroups(high, low);
}

function fromGroups(high: number, low: number): ipaddr.IPv4 {
  return new ipaddr.IPv4([high >> 8, high & 255, low >> 8, low & 255]);
}

function unmapped(address: ipaddr.IPv6): Address {
  return address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}

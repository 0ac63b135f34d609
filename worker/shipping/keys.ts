/** How the objects of a recording are called in the part store, and which of them together make up a part, or a track file. */
import { partFilePattern, trackFilePattern } from '../../src/jobs/capture.js';
import type { StoredObject } from '../../src/storage/parts.js';

/** Names in order are bytes in order: 14 digits are 90 TB. */
const digits = 14;
const growingEnding = '.mkv';
const rangePattern = new RegExp(`^(\\d{${digits}})-(\\d{${digits}})$`);

export const jobPrefix = (jobId: string): string => `${jobId}/`;
export const incarnationPrefix = (jobId: string, incarnation: number): string => `${jobId}/i${incarnation}/`;

/** Of a whole small file, such as the manifest. */
export const fileKey = (jobId: string, incarnation: number, name: string): string =>
  incarnationPrefix(jobId, incarnation) + name;

/** Files that grow while a recorder works, and are shipped in ranges. */
export const isGrowing = (name: string): boolean => partFilePattern.test(name) || trackFilePattern.test(name);

/** Of the bytes `from` up to, not including, `to` of a part or track file. */
export function rangeKey(jobId: string, incarnation: number, file: string, from: number, to: number): string {
  const [first, next] = [from, to].map((byte) => String(byte).padStart(digits, '0'));
  return `${incarnationPrefix(jobId, incarnation)}${file.slice(0, -growingEnding.length)}/${first}-${next}`;
}

/** Lies beside a part in a job's folder that came from the store: the machine that recorded it is lost. */
export const fetchedMark = (part: string): string => `${part}.fetched`;

export interface ShippedRange extends StoredObject {
  from: number;
  to: number;
}

export interface ShippedIncarnation {
  incarnation: number;
  /** What there is of each part and track file, in no particular order, possibly overlapping. */
  parts: { file: string; ranges: ShippedRange[] }[];
  /** Small files by name. */
  files: Map<string, StoredObject>;
}

/** Sorts out what a listing of `jobPrefix` found, by incarnation and part; what is not of a recorder host is left out. */
export function readListing(jobId: string, objects: readonly StoredObject[]): ShippedIncarnation[] {
  const incarnations = new Map<number, ShippedIncarnation>();
  for (const object of objects) {
    const [folder = '', name = '', range] = object.key.slice(jobPrefix(jobId).length).split('/');
    const incarnation = Number(/^i(\d+)$/.exec(folder)?.[1] ?? Number.NaN);
    if (Number.isNaN(incarnation) || !name) continue;
    const found = incarnations.get(incarnation) ?? { incarnation, parts: [], files: new Map() };
    incarnations.set(incarnation, found);
    if (range === undefined) found.files.set(name, object);
    else addRange(found, name, range, object);
  }
  return [...incarnations.values()].sort((a, b) => a.incarnation - b.incarnation);
}

function addRange(found: ShippedIncarnation, folder: string, name: string, object: StoredObject): void {
  const file = folder + growingEnding;
  const [, from, to] = (rangePattern.exec(name) ?? []).map(Number);
  // Of another size than its name says: not what was shipped.
  if (!isGrowing(file) || from === undefined || to === undefined || object.bytes !== to - from) return;
  const range = { ...object, from, to };
  const part = found.parts.find((each) => each.file === file);
  if (part) part.ranges.push(range);
  else found.parts.push({ file, ranges: [range] });
}

/**
 * The ranges that make up a part from its first byte on without a hole, each beginning where the one before ends; empty when
 * the beginning is missing. Where several begin, the widest is taken: small ones are merged into it, and may be going away.
 */
export function gaplessRanges(ranges: readonly ShippedRange[]): ShippedRange[] {
  const widestFrom = new Map<number, ShippedRange>();
  for (const range of ranges) {
    if (range.to > (widestFrom.get(range.from)?.to ?? range.from)) widestFrom.set(range.from, range);
  }
  const chosen: ShippedRange[] = [];
  for (let range = widestFrom.get(0); range; range = widestFrom.get(range.to)) chosen.push(range);
  return chosen;
}

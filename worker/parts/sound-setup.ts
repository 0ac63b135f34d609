/**
 * What decoders of AAC must know, where a part does not say it. Of AAC that is copied from MPEG-TS ffmpeg learns it with the first
 * sound, keeps a place for it in the file's head, and fills that when it closes the file: one that was killed never does, and
 * others then take the sound for a kind of AAC that nobody uses.
 */
import { element, elementsOf, ids, numberOf } from './ebml.js';

const aac = 'A_AAC';
/** In the order of AAC's own numbers. */
const rates = [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
/** The kind that everybody uses; what comes with headers of its own can hardly be another. */
const lowComplexity = 2;
/** Seven are counted by their number, eight are called seven. */
const mostChannels = 6;
const audioIds = { audio: 0xe1, samplingFrequency: 0xb5, channels: 0x9f } as const;

/** Fills the empty places in the contents of a `Tracks` element. */
export function completeSound(tracks: Buffer): void {
  for (const { id, body } of elementsOf(tracks)) if (id === ids.trackEntry) completeTrack(body);
}

function completeTrack(track: Buffer): void {
  const fields = [...elementsOf(track)];
  const field = (wanted: number) => fields.find((each) => each.id === wanted);
  if (field(ids.codecId)?.body.toString('latin1') !== aac || field(ids.codecPrivate)) return;
  const setup = setupOf(field(audioIds.audio)?.body ?? Buffer.alloc(0));
  const place = field(ids.void);
  if (!setup || !place) return;
  const end = place.body.byteOffset - track.byteOffset + place.body.length;
  const told = element(ids.codecPrivate, setup);
  const left = end - place.at - told.length - element(ids.void).length;
  if (left >= 0) Buffer.concat([told, element(ids.void, Buffer.alloc(left))]).copy(track, place.at);
}

/** An AudioSpecificConfig (ISO 14496-3): 5 bits of kind, 4 of rate, 4 of channels. Null for what it has no number for. */
function setupOf(sound: Buffer): Buffer | null {
  const fields = [...elementsOf(sound)];
  const body = (wanted: number) => fields.find((each) => each.id === wanted)?.body;
  const frequency = body(audioIds.samplingFrequency);
  const hertz =
    frequency?.length === 8 ? frequency.readDoubleBE() : frequency?.length === 4 ? frequency.readFloatBE() : 0;
  const rate = rates.indexOf(Math.round(hertz));
  const channels = numberOf(body(audioIds.channels) ?? Buffer.from([1]));
  if (rate < 0 || channels < 1 || channels > mostChannels) return null;
  const setup = Buffer.alloc(2);
  setup.writeUInt16BE((lowComplexity << 11) | (rate << 7) | (channels << 3));
  return setup;
}

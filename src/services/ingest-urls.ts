/** Where encoders publish into a room. */
import type { Config } from '../config.js';

export interface Ingest {
  rtmpUrl: string;
  srtUrl: string;
  /** Part of both addresses; whoever has it publishes. */
  streamKey: string;
}

/** Bytes: seven packets of MPEG-TS, which is what fits into one of UDP. */
const srtPacketSize = 1_316;

/** On the host that clients reach us at. */
export function ingestOf({ publicUrl, media }: Pick<Config, 'publicUrl' | 'media'>, streamKey: string): Ingest {
  const { hostname } = new URL(publicUrl);
  return {
    rtmpUrl: `rtmp://${hostname}:${media.rtmpPort}/live/${streamKey}`,
    srtUrl: `srt://${hostname}:${media.srtPort}?streamid=publish:live/${streamKey}&pkt_size=${srtPacketSize}`,
    streamKey,
  };
}

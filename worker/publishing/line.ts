/** Makes one unbroken line of the RTP packets of encoders that follow each other: receivers drop what jumps back. */

export const rtpHeaderBytes = 12;
/** Packets of one encoder come in order; more than this apart, they are of another one. */
const mostApart = 1_000;

export interface Line {
  /** Rewrites number and time stamp of a packet so that they follow those before it. */
  continue(packet: Buffer): void;
}

/** `clockHz`: of the time stamps. */
export function createLine(clockHz: number): Line {
  let last: { number: number; stamp: number; sentNumber: number; sentStamp: number; atMs: number } | null = null;

  return {
    continue(packet) {
      const number = packet.readUInt16BE(2);
      const stamp = packet.readUInt32BE(4);
      const nowMs = performance.now();
      let [sentNumber, sentStamp] = [number, stamp];
      if (last) {
        const ahead = ((number - last.number + 0x18000) & 0xffff) - 0x8000;
        const isSame = Math.abs(ahead) <= mostApart;
        // Of another encoder, what is between them is as long as it took.
        const passed = isSame ? stamp - last.stamp : Math.round(((nowMs - last.atMs) * clockHz) / 1000);
        sentNumber = (last.sentNumber + (isSame ? ahead : 1)) & 0xffff;
        sentStamp = (last.sentStamp + passed) >>> 0;
      }
      packet.writeUInt16BE(sentNumber, 2);
      packet.writeUInt32BE(sentStamp, 4);
      last = { number, stamp, sentNumber, sentStamp, atMs: nowMs };
    },
  };
}

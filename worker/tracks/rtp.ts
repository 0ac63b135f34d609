/** What must be known of RTP and RTCP to pass a track on: a packet's header, where pictures stand alone, and two kinds of reports. */

export interface RtpPacket {
  /** 16 bits. */
  sequence: number;
  /** 32 bits, in ticks of the codec's clock. */
  timestamp: number;
  ssrc: number;
  payload: Buffer;
}

/** Clocks of the codecs that can be passed on, ticks a second. */
export const clockRates: Record<string, number> = { opus: 48_000, vp8: 90_000, h264: 90_000 };

const fixedHeaderBytes = 12;
// NTP counts from 1900.
const ntpEpochSeconds = 2_208_988_800;
const h264 = { sps: 7, stapA: 24, fuA: 28 };

/** Null for what is no RTP, RTCP included. */
export function parseRtp(packet: Buffer): RtpPacket | null {
  if (packet.length < fixedHeaderBytes) return null;
  const [first = 0, second = 0] = packet;
  // RTCP shares the ports of RTP where it likes, and is told by its types.
  if (first >> 6 !== 2 || (second >= 192 && second <= 223)) return null;
  let from = fixedHeaderBytes + 4 * (first & 0x0f);
  if (first & 0x10) {
    if (packet.length < from + 4) return null;
    from += 4 + 4 * packet.readUInt16BE(from + 2);
  }
  if (packet.length < from) return null;
  return {
    sequence: packet.readUInt16BE(2),
    timestamp: packet.readUInt32BE(4),
    ssrc: packet.readUInt32BE(8),
    payload: packet.subarray(from),
  };
}

/** Whether a picture that needs no other begins in this payload, with all that must be known of it. Sound always stands alone. */
export function beginsKeyFrame(codec: string, payload: Buffer): boolean {
  if (codec === 'vp8') return beginsVp8KeyFrame(payload);
  if (codec === 'h264') return beginsH264KeyFrame(payload);
  return true;
}

function beginsVp8KeyFrame(payload: Buffer): boolean {
  const [first = 0, extensions = 0] = payload;
  // It must be the start of the first partition.
  if ((first & 0x10) === 0 || (first & 0x07) !== 0) return false;
  let at = 1;
  if (first & 0x80) {
    at += 1;
    if (extensions & 0x80) at += (payload[at] ?? 0) & 0x80 ? 2 : 1;
    if (extensions & 0x40) at += 1;
    if (extensions & 0x30) at += 1;
  }
  const header = payload[at];
  return header !== undefined && (header & 0x01) === 0;
}

/** With its parameters: of a picture whose own have just been missed nobody knows the size, and no file can be begun with it. */
function beginsH264KeyFrame(payload: Buffer): boolean {
  const isKey = (type: number) => type === h264.sps;
  const type = (payload[0] ?? 0) & 0x1f;
  if (type === h264.fuA) return ((payload[1] ?? 0) & 0x80) !== 0 && isKey((payload[1] ?? 0) & 0x1f);
  if (type !== h264.stapA) return isKey(type);
  for (let at = 1; at + 2 < payload.length; at += 2 + payload.readUInt16BE(at)) {
    if (isKey((payload[at + 2] ?? 0) & 0x1f)) return true;
  }
  return false;
}

/** Says which wall clock time (epoch ms) a timestamp of a track stands for. */
export function senderReport(ssrc: number, timestamp: number, wallMs: number): Buffer {
  const report = Buffer.alloc(28);
  const seconds = wallMs / 1000 + ntpEpochSeconds;
  report.writeUInt8(0x80, 0);
  report.writeUInt8(200, 1);
  report.writeUInt16BE(6, 2);
  report.writeUInt32BE(ssrc, 4);
  report.writeUInt32BE(Math.floor(seconds), 8);
  report.writeUInt32BE(Math.floor((seconds % 1) * 2 ** 32), 12);
  report.writeUInt32BE(timestamp >>> 0, 16);
  return report;
}

/** Asks whoever sends the track for a picture that stands alone. */
export function keyFrameRequest(ssrc: number): Buffer {
  const request = Buffer.alloc(12);
  request.writeUInt8(0x81, 0);
  request.writeUInt8(206, 1);
  request.writeUInt16BE(2, 2);
  request.writeUInt32BE(1, 4);
  request.writeUInt32BE(ssrc, 8);
  return request;
}

/** Says that the track ends. */
export function farewell(ssrc: number): Buffer {
  const reason = Buffer.from('ended');
  // ffmpeg takes nothing that is shorter than a packet of RTP: the reason makes it long enough.
  const bye = Buffer.alloc(16);
  bye.writeUInt8(0x81, 0);
  bye.writeUInt8(203, 1);
  bye.writeUInt16BE(3, 2);
  bye.writeUInt32BE(ssrc, 4);
  bye.writeUInt8(reason.length, 8);
  reason.copy(bye, 9);
  return bye;
}

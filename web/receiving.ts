/** What really arrives of tracks: how loud, and whether pictures still come. */

export interface Reception {
  /** Loudest lately, 0 to 1; 0 for pictures. */
  level: number;
  /** Whether it changed since it was asked before: pictures were decoded. */
  flows: boolean;
}

export interface ReceptionMeter {
  /** By the id of the track. */
  read(connection: RTCPeerConnection | null): Promise<ReadonlyMap<string, Reception>>;
}

interface InboundStats {
  type: string;
  trackIdentifier?: string;
  audioLevel?: number;
  framesDecoded?: number;
}

export function createReceptionMeter(): ReceptionMeter {
  let decoded = new Map<string, number>();
  return {
    async read(connection) {
      const before = decoded;
      decoded = new Map();
      const reception = new Map<string, Reception>();
      const report: ReadonlyMap<string, InboundStats> = (await connection?.getStats().catch(() => null)) ?? new Map();
      for (const { type, trackIdentifier: id, audioLevel = 0, framesDecoded = 0 } of report.values()) {
        if (type !== 'inbound-rtp' || !id) continue;
        decoded.set(id, framesDecoded);
        reception.set(id, { level: audioLevel, flows: framesDecoded > (before.get(id) ?? 0) });
      }
      return reception;
    },
  };
}

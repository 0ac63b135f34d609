/** The ports at which inputs arrive: each recording that is sent to has its own, which nobody else has while it exists. */
import { randomInt } from 'node:crypto';
import type { Config } from '../config.js';
import type { Database } from '../db.js';
import { portsEach } from '../recordings/config.js';
import { CapacityError } from './errors.js';

export type InputPorts = ReturnType<typeof createInputPorts>;

export function createInputPorts({ db, config }: { db: Database; config: Pick<Config, 'inputs'> }) {
  return {
    /**
     * The first of `portsEach` free ports in a row. At random, so that whoever still sends to the port of a recording that is
     * gone seldom meets another's. It is held only once it is written: two may be given the same. Throws CapacityError.
     */
    async pick(): Promise<number> {
      const [lowest, last] = config.inputs.ports;
      // RTP and RIST send media to even ports.
      const first = lowest + (lowest % 2);
      const rows = await db.recording.findMany({
        where: { listenPort: { not: null } },
        select: { listenPort: true },
      });
      // The range may have been another when they were given out.
      const taken = new Set(rows.flatMap(({ listenPort: port }) => fromPort(port as number)));
      const starts = Array.from(
        { length: Math.floor((last - first + 1) / portsEach) },
        (_, index) => first + index * portsEach,
      );
      const free = starts.filter((start) => !fromPort(start).some((port) => taken.has(port)));
      const chosen = free[free.length > 0 ? randomInt(free.length) : 0];
      if (chosen !== undefined) return chosen;
      throw new CapacityError(
        `All ${starts.length} inputs that INPUT_PORTS (${lowest}-${last}) has room for are in use. Delete a recording that is ` +
          'sent to, or have the range made larger.',
      );
    },
  };
}

const fromPort = (start: number): number[] => Array.from({ length: portsEach }, (_, index) => start + index);

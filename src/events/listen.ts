/** Hears NOTIFY on one connection that is replaced whenever it is lost. */
import pg from 'pg';
import type { Logger } from 'pino';

const reconnectMs = 500;

export interface Listener {
  close(): Promise<void>;
}

/**
 * Calls `onWake` with the channel of each notification, and with every channel after each (re)connection, since what was
 * announced meanwhile was not heard.
 */
export function listen(options: {
  url: string;
  channels: string[];
  onWake(channel: string): void;
  log: Logger;
}): Listener {
  const { url, channels, onWake, log } = options;
  let closed = false;
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;

  async function connect(): Promise<void> {
    const fresh = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000, keepAlive: true });
    client = fresh;
    let lost = false;
    const replace = (error?: Error) => {
      if (lost || closed) return;
      lost = true;
      log.warn({ err: error }, 'the connection for notifications was lost, connecting again');
      fresh.end().catch(() => {});
      timer = setTimeout(() => void connect(), reconnectMs);
    };
    fresh.on('error', replace);
    fresh.on('end', () => replace());
    fresh.on('notification', ({ channel }) => onWake(channel));
    try {
      await fresh.connect();
      await fresh.query(channels.map((channel) => `LISTEN ${pg.escapeIdentifier(channel)}`).join('; '));
      for (const channel of channels) onWake(channel);
    } catch (error) {
      replace(error as Error);
    }
  }
  const connecting = connect();

  return {
    async close() {
      closed = true;
      clearTimeout(timer);
      await connecting;
      await client?.end().catch(() => {});
    },
  };
}

/** A live stream whose pictures count by the wall clock: published to a media server that recordings pull it from. */
import { setTimeout as sleep } from 'node:timers/promises';
import { cardHz } from '../test/testkit/media-card.js';
import { end, startStreamServer } from '../test/testkit/sender-servers.js';
import { publishCard } from '../test/testkit/senders.js';
import type { PictureClock } from './pictures.js';

export interface LiveCard {
  /** What a recording pulls. */
  url: string;
  clock: PictureClock;
  /** Whoever publishes is gone without a word, for so long; pictures go on by the clock then. */
  interrupt(ms: number): Promise<void>;
  close(): Promise<void>;
}

/** From the start of who publishes a picture to its arrival: a recording knows of the latter only. */
const underwayMs = 400;

/** Lasts for the 90 s of the card. */
export async function startLiveCard(): Promise<LiveCard> {
  const server = await startStreamServer();
  const url = `rtmp://127.0.0.1:${server.rtmpPort}/live/card`;
  let publisher = await publishCard(url);
  const startedAt = Date.now();
  await server.published();
  return {
    url,
    clock: { since: startedAt + underwayMs, hz: cardHz },
    async interrupt(ms) {
      await end(publisher);
      const fromSecond = Math.ceil((Date.now() + ms - startedAt) / 1_000);
      await sleep(startedAt + fromSecond * 1_000 - Date.now());
      publisher = await publishCard(url, { fromSecond });
    },
    async close() {
      await end(publisher);
      await server.close();
    },
  };
}

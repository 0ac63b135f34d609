/** A live stream whose pictures count by the wall clock: published to a media server that recordings pull it from. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '../src/config.js';
import { cardMaster } from '../test/testkit/card-master.js';
import { cardHz } from '../test/testkit/media-card.js';
import { startStreamServer } from '../test/testkit/sender-servers.js';
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
  const master = await cardMaster();
  const server = await startStreamServer();
  const url = `rtmp://127.0.0.1:${server.rtmpPort}/live/card`;
  const { ffmpeg } = loadConfig().recorder;
  /** From the key frame that begins the second, which is shown a moment after that for the sake of B-frames. */
  const publish = (fromSecond: number): ChildProcess => {
    const from = fromSecond > 0 ? ['-ss', `${fromSecond + 0.2}`] : [];
    const args = ['-nostdin', '-v', 'error', '-re', ...from, '-i', master, '-c', 'copy', '-f', 'flv', url];
    return spawn(ffmpeg, args, { stdio: 'ignore' });
  };
  const end = async (child: ChildProcess) => {
    const isOver = child.exitCode !== null || child.signalCode !== null;
    if (!isOver && child.kill('SIGKILL')) await once(child, 'exit');
  };
  let publisher = publish(0);
  const since = Date.now() + underwayMs;
  await server.published();
  return {
    url,
    clock: { since, hz: cardHz },
    async interrupt(ms) {
      await end(publisher);
      const leftAt = Date.now() + ms + underwayMs;
      const second = Math.ceil((leftAt - since) / 1_000);
      await sleep(ms + since + second * 1_000 - leftAt);
      publisher = publish(second);
    },
    async close() {
      await end(publisher);
      await server.close();
    },
  };
}

/** Three people who are not there: pages of one headless browser that publish a picture and a tone each. */
import puppeteer from 'puppeteer';
import type { Tapedeck } from '../../examples/client/client.js';
import { CreateRoomToken, EnsureRoom } from '../../examples/client/operations.js';
import { findProgram } from '../../worker/capture/child.js';
import { RecordingFailedError } from './recording-failed.js';

const people = [
  { name: 'Ada', hue: '350', tone: '330' },
  { name: 'Blaise', hue: '130', tone: '440' },
  { name: 'Charles', hue: '220', tone: '550' },
];
const publishLimitMs = 30_000;

export interface DemoRoom {
  roomId: string;
  close(): Promise<void>;
}

/** Makes a room and fills it, with all three or with the first so many of them. Throws RecordingFailedError. */
export async function fillRoom(
  tapedeck: Tapedeck,
  { url, chromium, count = people.length }: { url: string; chromium: string; count?: number },
): Promise<DemoRoom> {
  const { ensureRoom: made } = await tapedeck.request(EnsureRoom, { input: { name: 'demo' } });
  if (made.__typename !== 'EnsureRoomPayload') throw new RecordingFailedError(made.message);
  const browser = await puppeteer.launch({
    executablePath: findProgram(chromium),
    args: [
      // Only pages of ours are opened; Chromium's sandbox refuses to work for root.
      '--no-sandbox',
      // The media server is on this machine, and knows no names of hidden addresses.
      ...['--disable-features=WebRtcHideLocalIpsWithMdns', '--allow-loopback-in-peer-connection'],
      ...['--autoplay-policy=no-user-gesture-required', '--disable-background-timer-throttling'],
      ...['--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows'],
    ],
  });
  try {
    for (const { name, ...look } of people.slice(0, count)) {
      const input = { roomId: made.room.id, name, identity: name.toLowerCase() };
      const { createRoomToken: issued } = await tapedeck.request(CreateRoomToken, { input });
      if (issued.__typename !== 'CreateRoomTokenPayload') throw new RecordingFailedError(issued.message);
      const { sessionId, apiKey } = made;
      const query = new URLSearchParams({ sessionId, apiKey, token: issued.token, name, ...look });
      const page = await browser.newPage();
      // Pictures of three people cost the machine less without what each of them would see.
      await page.goto(`${url}/publish?${query}&source=synthetic&autojoin=1&watch=0`, { waitUntil: 'domcontentloaded' });
      await page.waitForFunction('window.tapedeck?.state().publishing', { timeout: publishLimitMs, polling: 50 });
    }
  } catch (error) {
    await browser.close();
    throw error;
  }
  return { roomId: made.room.id, close: () => browser.close() };
}

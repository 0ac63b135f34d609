/** People in a room: pages of one headless browser that publish a synthetic person each, or watch. */
import puppeteer, { type Browser, type Page } from 'puppeteer';
import type { RoomClaims } from '../../src/auth/room-tokens.js';
import { loadConfig } from '../../src/config.js';
import type { Database } from '../../src/db.js';
import { findProgram } from '../../worker/capture/child.js';
import { createProject } from './jobs.js';
import { type TestRoom, testRoom } from './room-tokens.js';

export interface InvitingRoom extends TestRoom {
  /** A token for somebody of this name, who may publish and watch unless told otherwise. */
  invite(name: string, claims?: Partial<RoomClaims>): Promise<string>;
}

/** A new room in a project of its own. */
export async function inviteToRoom(db: Database): Promise<InvitingRoom> {
  const room = await testRoom(db, await createProject(db));
  return {
    ...room,
    invite: (name, claims) =>
      room.token({ identity: name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-'), name, ...claims }),
  };
}

export interface Visit {
  /** Of the API; `inject('stack')` has it. */
  stack: { url: string };
  /** A room token. */
  token: string;
  /** More options of the page's address: see docs/viewer.md. */
  options?: Record<string, string>;
}

export interface PersonOptions extends Visit {
  /** Written into the picture; what others are told is the name in the token. */
  name: string;
  /** Degrees on the colour wheel. */
  hue?: number;
  /** Hz of the steady tone; the beep is two octaves above it. */
  tone?: number;
  /** 640 x 360 at 15 pictures a second unless told. */
  width?: number;
  height?: number;
  fps?: number;
  codec?: 'vp8' | 'h264';
  /** Whether others are watched too, which costs more than to publish. */
  watches?: boolean;
}

export interface ShownParticipant {
  mediaId: string;
  name: string;
  audio: boolean;
  video: boolean;
  width: number;
  height: number;
}

export interface RoomPage {
  page: Page;
  /** What the page wrote to its console. */
  said: readonly string[];
  /** Clicks on the element with this id, also where the page is behind another and draws nothing. */
  press(id: string): Promise<void>;
  /** Everybody else, as the page sees them. */
  participants(): Promise<ShownParticipant[]>;
  /** Closes the page without a word, as a tab is closed. */
  close(): Promise<void>;
}

export interface Person extends RoomPage {
  /** Leaves by the button of the page. */
  leave(): Promise<void>;
}

export interface ViewerState {
  ready: boolean;
  layout: string;
  connected: boolean;
  participants: ShownParticipant[];
  tiles: { key: string; x: number; y: number; width: number; height: number }[];
}

export interface Viewer extends RoomPage {
  state(): Promise<ViewerState>;
  setLayout(name: string): Promise<boolean>;
}

const publishLimitMs = 30_000;

/** Resolves when the person is live: the media server has taken their picture and sound. */
export async function joinRoom(options: PersonOptions): Promise<Person> {
  const { name, hue = 170, tone = 440, width, height, fps, codec, watches = false } = options;
  const given = { hue, tone, width, height, fps, codec, watch: watches ? 1 : 0 };
  const room = await openRoomPage('/publish', {
    ...options,
    options: {
      ...{ name, source: 'synthetic', autojoin: '1' },
      ...Object.fromEntries(
        Object.entries(given).flatMap(([key, value]) => (value === undefined ? [] : [[key, `${value}`]])),
      ),
      ...options.options,
    },
  });
  await room.page
    .waitForFunction('window.tapedeck?.state().publishing', { timeout: publishLimitMs, polling: 50 })
    .catch(async (error: Error) => {
      await room.close();
      throw new Error(`${name} could not publish: ${error.message}\n${room.said.join('\n')}`);
    });
  return { ...room, leave: () => room.press('join') };
}

/** Opens the viewer page of a room; it need not be connected yet. */
export async function openViewer(options: Visit & { width?: number; height?: number }): Promise<Viewer> {
  const room = await openRoomPage('/viewer', options);
  return {
    ...room,
    state: () => room.page.evaluate('window.tapedeck.state()') as Promise<ViewerState>,
    setLayout: (name) => room.page.evaluate(`window.tapedeck.setLayout(${JSON.stringify(name)})`) as Promise<boolean>,
  };
}

/** Any page of a room, with whatever its address says. */
export async function openRoomPage(
  path: string,
  { stack, token, options, width = 1280, height = 720 }: Visit & { width?: number; height?: number },
): Promise<RoomPage> {
  const page = await openPage();
  await page.setViewport({ width, height });
  const said: string[] = [];
  page.on('console', (message) => said.push(message.text()));
  page.on('pageerror', (error) => said.push(`Uncaught ${String(error)}`));
  const query = new URLSearchParams({ sessionId: 'room', apiKey: 'project', token, ...options });
  // The load event may wait for a first picture.
  await page.goto(`${stack.url}${path}?${query}`, { waitUntil: 'domcontentloaded' });
  return {
    ...{ page, said },
    press: async (id) => void (await page.evaluate(`document.getElementById(${JSON.stringify(id)}).click()`)),
    participants: async () =>
      (await (page.evaluate('window.tapedeck.state()') as Promise<{ participants: ShownParticipant[] }>)).participants,
    close: () => closePage(page),
  };
}

let browser: Promise<Browser> | null = null;
const pages = new Set<Page>();
let opening = 0;

/** In the browser of this process, which is there while it has pages. */
async function openPage(): Promise<Page> {
  opening++;
  try {
    browser ??= launch();
    const page = await (await browser).newPage();
    pages.add(page);
    return page;
  } finally {
    opening--;
  }
}

async function closePage(page: Page): Promise<void> {
  if (!pages.delete(page)) return;
  await page.close();
  if (pages.size > 0 || opening > 0) return;
  const last = browser;
  browser = null;
  await (await last)?.close();
}

function launch(): Promise<Browser> {
  return puppeteer.launch({
    executablePath: findProgram(loadConfig().recorder.chromium),
    // It would say nothing of what it hears.
    ignoreDefaultArgs: ['--mute-audio'],
    args: [
      '--no-sandbox',
      // Names of addresses that only multicast resolves are not understood by the media server.
      '--disable-features=WebRtcHideLocalIpsWithMdns',
      '--allow-loopback-in-peer-connection',
      ...['--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream'],
      '--autoplay-policy=no-user-gesture-required',
      // All but one of the pages are behind another.
      ...['--disable-background-timer-throttling', '--disable-renderer-backgrounding'],
      '--disable-backgrounding-occluded-windows',
    ],
  });
}

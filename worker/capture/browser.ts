/** Chromium in kiosk mode on a display of ours, for a page nobody trusts. */
import type { Browser } from 'puppeteer';
import { strangerEnvironment } from '../../src/config.js';
import type { BrowserUser } from './browser-user.js';
import { boundCommand, type ChildExit, findProgram } from './child.js';
import type { Display } from './display.js';
import type { Scratch } from './scratch.js';
import type { Sound } from './sound.js';
import { unlessAborted, within } from './time-limit.js';

// A cold start on a busy machine was seen to take 4 s.
const launchLimitMs = 20_000;

export interface BrowserOptions {
  chromium: string;
  user: BrowserUser | null;
  /** Whether Chromium's own sandbox works here. */
  sandbox: boolean;
  scratch: Scratch;
  display: Display;
  sound: Sound;
  width: number;
  height: number;
  /** Port of the egress proxy on 127.0.0.1. */
  proxyPort: number;
  /** WebRTC may use UDP past the proxy, to addresses of this machine too. */
  directMedia: boolean;
  /** The page may draw with WebGL, in software. */
  webGL: boolean;
  /** Ends the launch; has no effect on a browser that runs. */
  signal: AbortSignal;
}

export interface RunningBrowser {
  browser: Browser;
  exited: Promise<ChildExit>;
  /** Ends every process of the browser; never takes longer than about a second. */
  kill(): Promise<void>;
}

/** Launches the browser with an empty profile of its own. Throws when it does not answer within 20 s, or the signal's reason. */
export async function launchBrowser(options: BrowserOptions): Promise<RunningBrowser> {
  const { default: puppeteer } = await import('puppeteer');
  const home = options.scratch.giveFolder(options.user, 'browser', {
    'profile/Default/Preferences': JSON.stringify(options.directMedia ? {} : proxiedMedia),
  });
  const chromium = findProgram(options.chromium);
  const [launcher, ...args] = boundCommand(options.user, chromium, browserFlags(options, `${home}/profile`));
  const launch = new AbortController();
  const launched = puppeteer.launch({
    executablePath: findProgram(launcher as string),
    // Puppeteer would put its own flags first, before the program's name.
    ignoreDefaultArgs: true,
    args,
    headless: false,
    pipe: true,
    signal: launch.signal,
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
    timeout: launchLimitMs,
    protocolTimeout: launchLimitMs,
    defaultViewport: { width: options.width, height: options.height },
    downloadBehavior: { policy: 'deny' },
    env: strangerEnvironment({
      HOME: home,
      TMPDIR: home,
      XDG_RUNTIME_DIR: home,
      DISPLAY: options.display.name,
      XAUTHORITY: options.display.authority,
      PULSE_SERVER: options.sound.server,
      PULSE_SINK: options.sound.sink,
      DBUS_SESSION_BUS_ADDRESS: 'disabled:',
    }) as Record<string, string | undefined>,
  });
  const browser = await unlessAborted(options.signal, launched).catch((error: unknown) => {
    launch.abort();
    throw error;
  });
  const child = browser.process();
  if (!child?.pid) throw new Error('The browser ended while it was being started.');
  const { pid } = child;
  const exited = new Promise<ChildExit>((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null)
      resolve({ code: child.exitCode, signal: child.signalCode });
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  return {
    browser,
    exited,
    async kill() {
      // Nothing in the profile is worth an orderly end, which a hung page could hold up.
      killGroup(pid);
      await within(1_000, 'Ending the browser', exited).catch(() => {});
    },
  };
}

/** WebRTC by the proxy or not at all: its UDP would go round the egress gate. */
const proxiedMedia = {
  webrtc: {
    ip_handling_policy: 'disable_non_proxied_udp',
    multiple_routes_enabled: false,
    nonproxied_udp_enabled: false,
  },
};

/** Only if asked for: what draws without it costs less, and no driver is reached by pages. */
const softwareGl = [
  '--use-gl=angle',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
  '--ignore-gpu-blocklist',
];

function browserFlags(options: BrowserOptions, profile: string): string[] {
  const { width, height, proxyPort, sandbox, directMedia, webGL } = options;
  return [
    ...['--kiosk', '--window-position=0,0', '--force-device-scale-factor=1', '--hide-scrollbars'],
    // Without a window manager a kiosk window is 1 pixel short, which shows as a seam at the right and the bottom.
    `--window-size=${width + 1},${height + 1}`,
    ...(webGL ? softwareGl : ['--disable-gpu']),
    ...['--disable-dev-shm-usage', '--autoplay-policy=no-user-gesture-required'],
    // A page that is recorded is always in front, whatever Chromium thinks.
    ...[
      '--disable-background-timer-throttling',
      '--disable-renderer-backgrounding',
      '--disable-backgrounding-occluded-windows',
    ],
    ...['--no-first-run', '--no-default-browser-check', '--noerrdialogs', '--hide-crash-restore-bubble'],
    ...[
      '--disable-infobars',
      '--disable-session-crashed-bubble',
      '--disable-search-engine-choice-screen',
      '--disable-prompt-on-repost',
    ],
    // The page may reach what the gate lets it reach, loopback included, and nothing by another way.
    ...[`--proxy-server=http://127.0.0.1:${proxyPort}`, '--proxy-bypass-list=<-loopback>', '--disable-quic'],
    // A page that ends its session by closing itself shall be noticed, though no script opened its window.
    '--blink-settings=allowScriptsToCloseWindows=true',
    // The media server may be on this machine, and knows no names of hidden addresses.
    ...(directMedia
      ? ['--allow-loopback-in-peer-connection']
      : ['--webrtc-ip-handling-policy=disable_non_proxied_udp']),
    // Chromium's own requests are not the page's.
    ...['--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-default-apps'],
    ...[
      '--disable-domain-reliability',
      '--disable-client-side-phishing-detection',
      '--no-pings',
      '--metrics-recording-only',
    ],
    ...[
      '--disable-breakpad',
      '--disable-extensions',
      '--disable-component-extensions-with-background-pages',
      '--disable-notifications',
    ],
    ...[
      '--deny-permission-prompts',
      '--password-store=basic',
      '--disable-hang-monitor',
      '--disable-ipc-flooding-protection',
    ],
    `--disable-features=${directMedia ? 'WebRtcHideLocalIpsWithMdns,' : ''}Translate,MediaRouter,OptimizationHints,AcceptCHFrame,DialMediaRouteProvider,InterestFeedContentSuggestions,WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup,SpareRendererForSitePerProcess`,
    // `--test-type` keeps the warning about the missing sandbox off the picture.
    ...(sandbox ? [] : ['--no-sandbox', '--test-type']),
    `--user-data-dir=${profile}`,
    '--remote-debugging-pipe',
    'about:blank',
  ];
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Already gone.
  }
}

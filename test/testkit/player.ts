/** hls.js in a browser, as on a page of any site. */
import { readFileSync } from 'node:fs';
import { launch, type Page } from 'puppeteer';
import { onTestFinished } from 'vitest';
import { findProgram } from '../../worker/capture/child.js';
import { servePages } from './host.js';

export async function playerPage(): Promise<Page> {
  const player = readFileSync('node_modules/hls.js/dist/hls.min.js', 'utf8');
  // From another site than the one that is played from.
  const site = await servePages({ '/': `<!doctype html><video muted></video><script>${player}</script>` });
  const browser = await launch({
    executablePath: findProgram('chromium'),
    args: ['--no-sandbox', '--autoplay-policy=no-user-gesture-required'],
  });
  onTestFinished(() => browser.close());
  const page = await browser.newPage();
  await page.goto(`${site}/`);
  return page;
}

/** Plays three seconds. */
export function play(page: Page, url: string) {
  return page.evaluate(async (address) => {
    const video = document.querySelector('video') as HTMLVideoElement;
    // biome-ignore lint/suspicious/noExplicitAny: the player is a script of the page.
    const { Hls } = window as any;
    const hls = new Hls();
    const errors: string[] = [];
    // biome-ignore lint/suspicious/noExplicitAny: as above.
    hls.on('hlsError', (_: string, { fatal, details }: any) => fatal && errors.push(details));
    let isLive: boolean | null = null;
    // biome-ignore lint/suspicious/noExplicitAny: as above.
    hls.on('hlsLevelLoaded', (_: string, { details }: any) => {
      isLive = details.live;
    });
    hls.loadSource(address);
    hls.attachMedia(video);
    const until = performance.now() + 40_000;
    let from: number | null = null;
    while (performance.now() < until && errors.length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      void video.play().catch(() => {});
      if (video.readyState < 3) continue;
      from ??= video.currentTime;
      if (video.currentTime > from + 3) break;
    }
    const played = from === null ? 0 : video.currentTime - from;
    const result = {
      isLive,
      errors,
      levels: hls.levels.length,
      width: video.videoWidth,
      height: video.videoHeight,
      played,
    };
    hls.destroy();
    if (played < 3) result.errors.push(`played ${played} s`);
    return result;
  }, url);
}

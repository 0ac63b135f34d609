import { describe, expect, test } from 'vitest';
import { createSpeakers } from '../../web/active-speaker.js';
import { type Layout, layOut, layouts, type Rect, type Size, type Subject, type Tile } from '../../web/layout.js';

const sizes: Size[] = [
  { width: 320, height: 240 },
  { width: 640, height: 480 },
  { width: 480, height: 640 },
  { width: 1280, height: 720 },
  { width: 1080, height: 1920 },
  { width: 1920, height: 1080 },
  { width: 1281, height: 367 },
];
const counts = Array.from({ length: 25 }, (_, index) => index + 1);

/** The last `screens` of them are shared screens. */
const subjects = (count: number, screens = 0): Subject[] =>
  Array.from({ length: count }, (_, index) => ({ key: `p${index}`, screen: index >= count - screens }));

function everyCase(check: (tiles: Tile[], of: { layout: Layout; size: Size; count: number; screens: number }) => void) {
  for (const layout of layouts)
    for (const size of sizes)
      for (const count of counts)
        for (const screens of [0, 1, 2].filter((each) => each <= count))
          check(layOut(layout, subjects(count, screens), size, 'p0'), { layout, size, count, screens });
}

const overlap = (a: Rect, b: Rect) =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
const area = ({ width, height }: Size) => width * height;

describe('whatever the layout, the window and the number of people', () => {
  test('no two tiles overlap, and all lie inside', () => {
    everyCase((tiles, { size, ...of }) => {
      for (const tile of tiles) {
        const { x, y, width, height } = tile;
        const isInside = x >= 0 && y >= 0 && x + width <= size.width && y + height <= size.height;
        if (!isInside || !(width > 0 && height > 0) || ![x, y, width, height].every(Number.isInteger))
          expect.fail(`${JSON.stringify({ tile, size, ...of })} lies outside`);
        const other = tiles.find((each) => each !== tile && overlap(each, tile));
        if (other) expect.fail(`${JSON.stringify({ tile, other, size, ...of })} overlap`);
      }
    });
  });

  test('everybody has one tile; with "single" only one is shown', () => {
    everyCase((tiles, { layout, count }) => {
      expect(new Set(tiles.map(({ key }) => key)).size).toBe(tiles.length);
      expect(tiles.length).toBe(layout === 'single' ? 1 : count);
    });
  });

  test('no tile of a camera is wider than 16:9, none narrower than a square', () => {
    everyCase((tiles, { count, screens, size }) => {
      for (const { key, width, height } of tiles) {
        if (Number(key.slice(1)) >= count - screens) continue;
        // One pixel of rounding, which shows more in a small tile.
        expect(width, JSON.stringify(size)).toBeLessThanOrEqual((height + 1) * (16 / 9));
        expect(width + 1, JSON.stringify(size)).toBeGreaterThanOrEqual(height);
      }
    });
  });
});

describe('grid', () => {
  test('all tiles are equal, 16:9, and touch the edges of the window in one direction', () => {
    for (const size of sizes)
      for (const count of counts.slice(1)) {
        const tiles = layOut('grid', subjects(count), size, null);
        const [{ width, height }] = tiles as [Tile];
        expect(tiles.every((tile) => tile.width === width && tile.height === height)).toBe(true);
        expect(Math.abs(width - (height * 16) / 9)).toBeLessThan(2);
        const right = Math.max(...tiles.map((tile) => tile.x + tile.width));
        const bottom = Math.max(...tiles.map((tile) => tile.y + tile.height));
        expect(Math.min(size.width - right, size.height - bottom)).toBeLessThan(24);
      }
  });

  test('more people never get larger tiles', () => {
    for (const size of sizes) {
      const areas = counts.slice(1).map((count) => area(layOut('grid', subjects(count), size, null)[0] as Tile));
      for (let i = 1; i < areas.length; i++) expect(areas[i]).toBeLessThanOrEqual(areas[i - 1] as number);
    }
  });

  test('one alone has the window, as far as it has a shape for faces', () => {
    expect(layOut('grid', subjects(1), { width: 1280, height: 720 }, null)).toEqual([
      { key: 'p0', x: 0, y: 0, width: 1280, height: 720 },
    ]);
    expect(layOut('grid', subjects(1), { width: 480, height: 640 }, null)).toEqual([
      { key: 'p0', x: 0, y: 80, width: 480, height: 480 },
    ]);
  });
});

describe('who is large', () => {
  const largest = (tiles: readonly Tile[]) => [...tiles].sort((a, b) => area(b) - area(a)).map(({ key }) => key);

  test('speaker: who speaks, or else the first', () => {
    for (const size of sizes) {
      expect(largest(layOut('speaker', subjects(6), size, 'p3'))[0]).toBe('p3');
      expect(largest(layOut('speaker', subjects(6), size, null))[0]).toBe('p0');
    }
  });

  test('a shared screen before who speaks', () => {
    for (const size of sizes)
      for (const layout of ['speaker', 'single'] as const)
        expect(largest(layOut(layout, subjects(6, 1), size, 'p3'))[0]).toBe('p5');
  });

  test('side by side: the screen and the first, whoever speaks', () => {
    const size = { width: 1280, height: 720 };
    const large = (speaker: string) => largest(layOut('side-by-side', subjects(6, 1), size, speaker)).slice(0, 2);
    expect(large('p3').sort()).toEqual(['p0', 'p5']);
    expect(layOut('side-by-side', subjects(4), size, 'p0')).toEqual(layOut('side-by-side', subjects(4), size, 'p3'));
  });

  test('single: who speaks when no screen is shared', () => {
    expect(layOut('single', subjects(6), { width: 640, height: 360 }, 'p4').map(({ key }) => key)).toEqual(['p4']);
  });
});

test('an empty room and a window without size are laid out as well', () => {
  for (const layout of layouts) {
    expect(layOut(layout, [], { width: 640, height: 360 }, null)).toEqual([]);
    expect(layOut(layout, subjects(5), { width: 0, height: 0 }, null).every((tile) => area(tile) === 0)).toBe(true);
  }
});

describe('the speaker', () => {
  /** Notes levels every 150 ms for so long; answers who speaks in the end. */
  function speaking() {
    const speakers = createSpeakers();
    let now = 0;
    return (ms: number, levels: Record<string, number>) => {
      let speaker: string | null = null;
      for (const end = now + ms; now < end; now += 150) speaker = speakers.note(now, new Map(Object.entries(levels)));
      return speaker;
    };
  }

  test('is who is heard for half a second', () => {
    const hear = speaking();
    expect(hear(300, { a: 0, b: 0.2 })).toBe(null);
    expect(hear(600, { a: 0, b: 0.2 })).toBe('b');
  });

  test('is not changed by a cough, nor by somebody who answers within the other one’s pause', () => {
    const hear = speaking();
    hear(1_500, { a: 0.2, b: 0 });
    expect(hear(300, { a: 0, b: 0.9 })).toBe('a');
    expect(hear(1_200, { a: 0, b: 0 })).toBe('a');
    expect(hear(300, { a: 0.2, b: 0.1 })).toBe('a');
  });

  test('changes two seconds after the former one fell silent', () => {
    const hear = speaking();
    hear(1_500, { a: 0.2, b: 0 });
    expect(hear(1_500, { a: 0, b: 0.2 })).toBe('a');
    expect(hear(1_500, { a: 0, b: 0.2 })).toBe('b');
  });

  test('stays while everybody is silent, and is nobody when they leave', () => {
    const hear = speaking();
    hear(1_500, { a: 0.2, b: 0 });
    expect(hear(60_000, { a: 0, b: 0 })).toBe('a');
    expect(hear(150, { b: 0 })).toBe(null);
  });

  test('is taken from one who hums by one who is much louder', () => {
    const hear = speaking();
    hear(1_500, { hum: 0.05, b: 0 });
    expect(hear(1_500, { hum: 0.05, b: 0.3 })).toBe('hum');
    expect(hear(1_500, { hum: 0.05, b: 0.3 })).toBe('b');
    expect(hear(9_000, { hum: 0.05, b: 0.05 })).toBe('b');
  });
});

/** Where tiles go: from what is to be shown, a layout and a size to rectangles in whole pixels. Knows nothing of browsers. */

export const layouts = ['grid', 'speaker', 'side-by-side', 'single'] as const;
export type Layout = (typeof layouts)[number];

export const isLayout = (name: string): name is Layout => (layouts as readonly string[]).includes(name);

export interface Size {
  width: number;
  height: number;
}

export interface Rect extends Size {
  x: number;
  y: number;
}

/** Something to show, in the order of its place. */
export interface Subject {
  key: string;
  /** A shared screen: it is preferred as the large one, and may have any shape. */
  screen: boolean;
}

export interface Tile extends Rect {
  key: string;
}

// What cameras send: among others nobody is cut. A large one may be as narrow as a square, where a face still stays in.
const cameraShape = 16 / 9;
const narrowestLarge = 1;
// Of the longer side: at 1280x720 five tiles of 256x144 fit beside the large one.
const stripShare = 0.2;
// From here on a strip costs less of the large picture at the side than below it.
const wideWindow = 1.4;
// 2 pixels at 240 lines, 6 at 720, 9 at 1080.
const gapShare = 1 / 120;

/**
 * Lays out `subjects`, all of them or with `single` only the most important, into a window of `size`. `speaker` is the key of
 * who speaks. No two tiles overlap, and all lie inside.
 */
export function layOut(layout: Layout, subjects: readonly Subject[], size: Size, speaker: string | null): Tile[] {
  const window = { x: 0, y: 0, width: size.width, height: size.height };
  const gap = Math.max(2, Math.round(Math.min(size.width, size.height) * gapShare));
  if (layout === 'grid') return grid(subjects, window, gap);
  if (layout === 'single') return row(byImportance(subjects, speaker).slice(0, 1), window, gap);
  // Two halves that changed with the speaker would jump from side to side.
  const large =
    layout === 'speaker' ? byImportance(subjects, speaker).slice(0, 1) : byImportance(subjects, null).slice(0, 2);
  const rest = subjects.filter((subject) => !large.includes(subject));
  if (rest.length === 0) return row(large, window, gap);
  const [stage, strip] = cut(window, gap, layout === 'speaker');
  return [...row(large, stage, gap), ...grid(rest, strip, gap)];
}

/** Screens, then who speaks, then the others in their order. */
function byImportance(subjects: readonly Subject[], speaker: string | null): Subject[] {
  const rank = ({ key, screen }: Subject) => (screen ? 0 : key === speaker ? 1 : 2);
  return [...subjects].sort((a, b) => rank(a) - rank(b));
}

/** Divides the window into a stage and a strip: beside it when the window is wide, below it when not. */
function cut({ width, height }: Size, gap: number, mayBeBeside: boolean): [Rect, Rect] {
  if (mayBeBeside && width >= height * wideWindow) {
    const strip = Math.floor(width * stripShare);
    const stage = Math.max(0, width - strip - gap);
    return [
      { x: 0, y: 0, width: stage, height },
      { x: stage + gap, y: 0, width: Math.max(0, width - stage - gap), height },
    ];
  }
  const strip = Math.floor(height * stripShare);
  const stage = Math.max(0, height - strip - gap);
  return [
    { x: 0, y: 0, width, height: stage },
    { x: 0, y: stage + gap, width, height: Math.max(0, height - stage - gap) },
  ];
}

/** Side by side, or one above the other where the area is taller than wide. */
function row(subjects: readonly Subject[], area: Rect, gap: number): Tile[] {
  const upright = area.height > area.width;
  const length = upright ? area.height : area.width;
  const each = Math.max(0, Math.floor((length - gap * (subjects.length - 1)) / subjects.length));
  return subjects.map((subject, index) => {
    const offset = index * (each + gap);
    const cell = upright
      ? { x: area.x, y: area.y + offset, width: area.width, height: each }
      : { x: area.x + offset, y: area.y, width: each, height: area.height };
    return { key: subject.key, ...(subject.screen ? cell : within(cell)) };
  });
}

/** Equal tiles, as large as they can be, in rows that are centred. */
function grid(subjects: readonly Subject[], area: Rect, gap: number): Tile[] {
  const count = subjects.length;
  if (count === 0) return [];
  const [only] = subjects;
  if (count === 1 && only) return row([only], area, gap);
  let best = { columns: 1, rows: count, width: -1, height: 0 };
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const cell = {
      width: Math.max(0, Math.floor((area.width - gap * (columns - 1)) / columns)),
      height: Math.max(0, Math.floor((area.height - gap * (rows - 1)) / rows)),
    };
    const tile = shaped(cell, cameraShape);
    if (tile.width * tile.height > best.width * best.height) best = { columns, rows, ...tile };
  }
  const { columns, rows, width, height } = best;
  const extent = (tiles: number, each: number) => tiles * each + (tiles - 1) * gap;
  const top = area.y + Math.floor((area.height - extent(rows, height)) / 2);
  return subjects.map(({ key }, index) => {
    const line = Math.floor(index / columns);
    const inLine = Math.min(columns, count - line * columns);
    const left = area.x + Math.floor((area.width - extent(inLine, width)) / 2);
    return {
      ...{ key, width, height },
      x: left + (index - line * columns) * (width + gap),
      y: top + line * (height + gap),
    };
  });
}

/** The largest tile of a good shape that fits. */
function shaped({ width, height }: Size, narrowest: number): Size {
  if (width > height * cameraShape) return { width: Math.floor(height * cameraShape), height };
  if (width < height * narrowest) return { width, height: Math.floor(width / narrowest) };
  return { width, height };
}

function within(cell: Rect): Rect {
  const { width, height } = shaped(cell, narrowestLarge);
  return {
    ...{ width, height },
    x: cell.x + Math.floor((cell.width - width) / 2),
    y: cell.y + Math.floor((cell.height - height) / 2),
  };
}

/** Draws tiles: one element a figure, kept while its figure stays, moved as the layout says. */
import type { Size, Tile } from './layout.js';
import { type Figure, hueOf, initials } from './scene.js';

export interface Stage {
  size(): Size;
  /** Shows these figures where `tiles` says; those without a tile are kept ready and unseen. */
  show(figures: readonly Figure[], tiles: readonly Tile[]): void;
  /** Marks a figure as speaking, and tells whether its picture is to be seen: when none comes, its initials are. */
  mark(key: string, state: { speaking: boolean; picture: boolean }): void;
  /** Size of the picture of a figure; null before its first one. */
  picture(key: string): Size | null;
}

interface Card {
  root: HTMLElement;
  video: HTMLVideoElement;
  avatar: HTMLElement;
  name: HTMLElement;
  figure: Figure;
  tile: Tile | null;
}

// Of a picture that is cut to fill its tile, so much must stay: an upright one in a wide tile would lose the face.
const leastVisibleShare = 0.5;
// Of a tile's height: 9 pixels, the smallest that can be read, where four share 320x240, 16 in a quarter of 1280x720.
const labelShare = 0.045;
const smallestLabel = 9;
const largestLabel = 20;

export function createStage(container: HTMLElement): Stage {
  const cards = new Map<string, Card>();

  return {
    size: () => ({ width: container.clientWidth, height: container.clientHeight }),
    show(figures, tiles) {
      const places = new Map(tiles.map((tile) => [tile.key, tile]));
      const keys = new Set(figures.map(({ key }) => key));
      for (const [key, card] of cards) {
        if (keys.has(key)) continue;
        card.video.srcObject = null;
        card.root.remove();
        cards.delete(key);
      }
      for (const figure of figures) {
        let card = cards.get(figure.key);
        if (!card) {
          card = createCard(figure);
          container.append(card.root);
          cards.set(figure.key, card);
        }
        dress(card, figure);
        place(card, places.get(figure.key) ?? null);
      }
    },
    mark(key, { speaking, picture }) {
      const card = cards.get(key);
      card?.root.classList.toggle('speaking', speaking);
      card?.root.classList.toggle('pictured', picture);
    },
    picture(key) {
      const video = cards.get(key)?.video;
      return video && video.videoWidth > 0 ? { width: video.videoWidth, height: video.videoHeight } : null;
    },
  };
}

function createCard(figure: Figure): Card {
  const make = (tag: string, className: string) => Object.assign(document.createElement(tag), { className });
  const video = Object.assign(document.createElement('video'), { muted: true, autoplay: true, playsInline: true });
  const card: Card = {
    ...{ root: make('div', 'tile'), avatar: make('div', 'avatar'), name: make('span', 'name'), video, figure },
    tile: null,
  };
  const label = make('div', 'label');
  label.append(make('i', 'voice'), card.name);
  card.root.append(video, card.avatar, label);
  card.root.classList.toggle('screen', figure.screen);
  video.addEventListener('resize', () => fill(card));
  return card;
}

function dress(card: Card, figure: Figure): void {
  card.figure = figure;
  if (card.name.textContent !== figure.name) {
    card.name.textContent = figure.name;
    card.avatar.textContent = initials(figure.name);
    card.root.style.setProperty('--hue', String(hueOf(figure.name)));
  }
  const shown = (card.video.srcObject as MediaStream | null)?.getTracks()[0] ?? null;
  if (shown === figure.video) return;
  // An empty stream would hold up the page's load event until its first picture.
  card.video.srcObject = figure.video ? new MediaStream([figure.video]) : null;
  if (figure.video) card.video.play().catch(() => {});
}

function place(card: Card, tile: Tile | null): void {
  card.root.hidden = tile === null;
  const before = card.tile;
  card.tile = tile;
  if (!tile) return;
  const { x, y, width, height } = tile;
  if (before && before.x === x && before.y === y && before.width === width && before.height === height) return;
  const label = Math.round(Math.min(largestLabel, Math.max(smallestLabel, height * labelShare)));
  Object.assign(card.root.style, { left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` });
  card.root.style.setProperty('--label', `${label}px`);
  card.root.style.setProperty('--avatar', `${Math.round(Math.min(width, height) * 0.5)}px`);
  // In smaller ones a name would cover the face.
  card.root.classList.toggle('nameless', height < 4 * label || width < 5 * label);
  fill(card);
}

function fill({ root, video, figure, tile }: Card): void {
  if (!tile || video.videoWidth === 0 || tile.height === 0) return;
  const shape = (video.videoWidth / video.videoHeight) * (tile.height / tile.width);
  const isCut = !figure.screen && Math.min(shape, 1 / shape) >= leastVisibleShare;
  root.classList.toggle('cut', isCut);
}

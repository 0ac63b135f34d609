/** Where the test card carries what machines read, and a synthetic recording of it made by ffmpeg alone. */

/** Cells of the strip, least significant bit first: the number (9.7 hours at 30 a second), then four check bits. */
export const numberBits = 20;
export const checkBits = 4;
export const cells = numberBits + checkBits;
/** How often the page counts up, per second. */
export const cardHz = 30;
export const toneHz = 437;
export const beepHz = 2_000;

export interface Size {
  width: number;
  height: number;
}

/** Pixels, as `web/demo.html` lays them out: the strip lies at the bottom edge, the flash bar right above it. */
export function cardGeometry({ width, height }: Size) {
  const cellWidth = Math.floor(width / cells);
  const stripHeight = Math.max(12, Math.round(height / 30));
  const flashHeight = 2 * stripHeight;
  return {
    cellWidth,
    stripWidth: cellWidth * cells,
    stripHeight,
    stripTop: height - stripHeight,
    flashHeight,
    flashTop: height - stripHeight - flashHeight,
  };
}

/** The number a strip shows, or null when its check bits deny it. `lit` has one entry a cell. */
export function decodeStrip(lit: readonly boolean[]): number | null {
  let number = 0;
  let check = 0;
  for (let bit = 0; bit < cells; bit++) {
    if (!lit[bit]) continue;
    if (bit < numberBits) number += 2 ** bit;
    else check += 1 << (bit - numberBits);
  }
  let folded = 0;
  for (let rest = number; rest > 0; rest = Math.floor(rest / 16)) folded ^= rest % 16;
  // Inverted, so that a strip without any light is not taken for number 0.
  return check === (folded ^ 15) ? number : null;
}

/** ffmpeg inputs (picture, then sound) that show the card from `firstNumber` on. */
export function cardInputs(size: Size, firstNumber = 0): string[] {
  const card = cardGeometry(size);
  const n = `(n+${firstNumber})`;
  const bit = (index: number) => `gte(mod(${n}\\,${2 ** (index + 1)})\\,${2 ** index})`;
  const lights = [...Array(numberBits).keys()].map(bit);
  for (let check = 0; check < checkBits; check++) {
    const folded = [...Array(numberBits / checkBits).keys()].map((nibble) => bit(nibble * checkBits + check)).join('+');
    lights.push(`not(mod(${folded}\\,2))`);
  }
  const box = (x: number, y: number, w: number, h: number, rest: string) =>
    `drawbox=x=${x}:y=${y}:w=${w}:h=${h}:t=fill:${rest}`;
  const second = `mod(n+${firstNumber}\\,${cardHz})`;
  const boxes = [
    box(0, card.stripTop, size.width, card.stripHeight, 'color=black'),
    ...lights.map((light, cell) =>
      box(cell * card.cellWidth, card.stripTop, card.cellWidth, card.stripHeight, `color=white:enable='${light}'`),
    ),
    box(0, card.flashTop, size.width, card.flashHeight, 'color=black'),
    box(0, card.flashTop, size.width, card.flashHeight, `color=white:enable='lt(${second}\\,3)'`),
  ];
  const t = `(t+${firstNumber / cardHz})`;
  const tone = `0.3*sin(2*PI*${toneHz}*${t})`;
  const beep = `0.5*sin(2*PI*${beepHz}*${t})*lt(mod(${t}\\,1)\\,0.05)`;
  return [
    ...['-f', 'lavfi', '-i', `testsrc2=s=${size.width}x${size.height}:r=${cardHz},${boxes.join(',')}`],
    ...['-f', 'lavfi', '-i', `aevalsrc='${tone}|${beep}':s=48000`],
  ];
}

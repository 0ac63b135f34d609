/** The test card on its way: sent to a recording from a known second on, and looked for in what was recorded of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { masterSize } from './card-master.js';
import type { Size } from './media-card.js';
import { readFrames } from './media-read.js';
import type { TestRecording } from './recordings.js';
import { type Sender, type SenderOptions, startSender } from './senders.js';

export const cardFps = 30;
// One that is turned away is so at once; one that nobody answers gives up after three seconds.
const settledMs = 700;
const triesMs = 30_000;

export interface SentCard extends Sender {
  /** Number of the first picture that it sends. */
  first: number;
}

/** Sends to the port of a recording, over and over until somebody takes it. Gone when the test is finished. */
export async function sendTo(
  recording: TestRecording,
  options: Partial<SenderOptions> & Pick<SenderOptions, 'type'>,
): Promise<SentCard> {
  const { input } = await recording.facts();
  const more = input.streamKey ? { streamKey: input.streamKey } : {};
  const fromSecond = options.fromSecond ?? 0;
  for (const untilMs = Date.now() + triesMs; ; ) {
    const sender = await startSender({ port: input.listenPort as number, ...more, ...options });
    await sleep(settledMs);
    if (isSending(sender)) {
      onTestFinished(() => sender.kill());
      return { ...sender, first: fromSecond * cardFps };
    }
    if (Date.now() > untilMs) throw new Error('Nobody takes what is sent.');
  }
}

export const isSending = ({ process }: Sender): boolean => process.exitCode === null && process.signalCode === null;

/** Of every picture of a file; of a card that was made smaller or larger, with the size that it has there. */
export async function numbersOf(file: string, shown: Size = masterSize): Promise<(number | null)[]> {
  return (await readFrames(file, masterSize, { x: 0, y: 0, ...shown })).map(({ number }) => number);
}

/** Numbers that follow each other without a gap, put together: the first and the last of each stretch. */
export function stretchesOf(numbers: readonly (number | null)[]): [number, number][] {
  const stretches: [number, number][] = [];
  for (const number of numbers) {
    const last = stretches.at(-1);
    if (number === null) stretches.push([Number.NaN, Number.NaN]);
    else if (last && number === last[1] + 1) last[1] = number;
    else stretches.push([number, number]);
  }
  return stretches;
}

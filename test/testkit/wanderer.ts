/** A client that follows a job from one replica to another. */
import { expect } from 'vitest';
import type { Api, Socket } from './api.js';

export interface Item {
  __typename: string;
  cursor: string;
  sequence: number;
}
export interface Told {
  data: { jobEvents: Item };
}

export const document =
  'subscription($id: ID!, $after: Cursor) { jobEvents(jobId: $id, after: $after) { __typename cursor sequence } }';

export const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

/** Follows a job until it is left: what it was told, whichever replica it was told by. */
export class Wanderer {
  readonly told: Item[] = [];
  #socket: Socket | undefined;

  constructor(private readonly id: string) {}

  get sequences(): number[] {
    return this.told.map(({ sequence }) => sequence);
  }

  /** Goes on there, behind what it was told last; a connection that is lost ends it. */
  async goTo(replica: Api): Promise<void> {
    this.leave();
    const socket = await replica.connect();
    await socket.init();
    this.#socket = socket;
    socket.subscribe('1', document, { id: this.id, after: this.told.at(-1)?.cursor });
    void this.#listen(socket);
  }

  async #listen(socket: Socket): Promise<void> {
    for (;;) {
      const message = await socket.next('1').catch(() => null);
      if (!message || this.#socket !== socket) return;
      if (message.type !== 'next') throw new Error(`Expected the stream to go on, not ${JSON.stringify(message)}.`);
      this.told.push((message.payload as Told).data.jobEvents);
    }
  }

  async untilTold(sequence: number, timeout = 20_000): Promise<void> {
    await expect.poll(() => this.told.at(-1)?.sequence ?? 0, { timeout, interval: 5 }).toBeGreaterThanOrEqual(sequence);
  }

  get closed(): Promise<number> | undefined {
    return this.#socket?.closed;
  }

  leave(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }
}

/** One follower of a stream: what it is still to be sent, within bounds, so that a slow one costs nobody else anything. */
import type { StreamItem } from '../jobs/events.js';
import { comparePositions, type Position } from './position.js';

/** A result, ready to be sent: the same bytes for everybody. */
export interface Frame {
  /** The result as JSON. */
  readonly bytes: Buffer;
  /** The event or snapshot it tells, and its place in the order of commits; null where only the newest value counts. */
  readonly of: { item: StreamItem; position: Position } | null;
}

/** What lies unsent on one connection, for all that it follows. */
export interface Backlog {
  bytes: number;
}

/** Where results go: a socket's subscription, or a stream of server-sent events. */
export interface Sink {
  /** Shared by the sinks of one connection, where there can be several. */
  readonly backlog?: Backlog;
  /** Takes results; false when it wants no more until it calls `onReady`. */
  write(frames: readonly Frame[]): boolean;
  onReady: () => void;
  /** Nothing follows. With an error, that is told last. */
  end(error?: unknown): void;
}

/** What may lie unsent; past any bound a follower of events is cut off, told so, and can resume from its cursor. */
const bounds = { frames: 1_000, bytes: 1_048_576, bytesOfConnection: 4_194_304 };
/** Handed over together: beyond it a socket would only hold what is counted here. */
const chunkBytes = 65_536;

export class Member {
  readonly #queue: Frame[] = [];
  readonly #backlog: Backlog;
  #queuedBytes = 0;
  #dropped = 0;
  /** While it is told what was before, what is new waits. */
  #live = false;
  #ready = true;
  #over = false;
  #ending = false;
  /** What is told up to here came another way. */
  #told: Position | null = null;
  #last: Frame | undefined;
  #drained: (() => void) | undefined;

  /** `onCutOff` is called when the queue overflowed and what had fitted is sent, `last` being where the member got to. */
  constructor(
    private readonly sink: Sink,
    private readonly mode: 'events' | 'latest',
    private readonly onCutOff: (member: Member, last: StreamItem | Position | null, dropped: number) => void,
  ) {
    this.#backlog = sink.backlog ?? { bytes: 0 };
    sink.onReady = () => {
      this.#ready = true;
      this.#flush();
    };
  }

  get over(): boolean {
    return this.#over;
  }

  /** New results, in order. */
  deliver(frames: readonly Frame[]): void {
    if (this.#over || this.#ending) return;
    if (this.#live && this.#ready && this.#queue.length === 0 && this.#told === null && this.#dropped === 0) {
      this.#write(frames);
      return;
    }
    for (const frame of frames) this.#enqueue(frame);
    this.#flush();
  }

  /** Sends what was before; resolves when there is room for more of it. */
  async tell(frames: readonly Frame[]): Promise<void> {
    if (this.#over || frames.length === 0) return;
    this.#write(frames);
    while (!this.#ready && !this.#over) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
  }

  /** From now on what is new is sent, as far as it is behind `told`. */
  goLive(told: Position | null): void {
    this.#told = told;
    this.#live = true;
    this.#flush();
  }

  /** Results were left out for everybody: it is cut off once all that waits is sent. */
  cutOff(dropped: number): void {
    this.#dropped += dropped;
    this.#flush();
  }

  /** Ends it once all that waits is sent. */
  complete(): void {
    this.#ending = true;
    this.#flush();
  }

  /** Ends it at once. */
  end(error?: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#clear();
    this.#drained?.();
    this.sink.end(error);
  }

  #write(frames: readonly Frame[]): void {
    this.#last = frames.at(-1);
    try {
      this.#ready = this.sink.write(frames);
    } catch (error) {
      // One that cannot be written to must not keep the others waiting.
      this.end(error);
    }
  }

  #enqueue(frame: Frame): void {
    if (this.mode === 'latest') this.#clear();
    // Once one is missing, later ones would leave a hole.
    else if (this.#dropped > 0 || this.#isFull()) {
      this.#dropped++;
      return;
    }
    this.#queue.push(frame);
    this.#count(frame.bytes.length);
  }

  #isFull(): boolean {
    return (
      this.#queue.length >= bounds.frames ||
      this.#queuedBytes >= bounds.bytes ||
      this.#backlog.bytes >= bounds.bytesOfConnection
    );
  }

  #count(bytes: number): void {
    this.#queuedBytes += bytes;
    this.#backlog.bytes += bytes;
  }

  #clear(): void {
    this.#queue.length = 0;
    this.#count(-this.#queuedBytes);
  }

  #flush(): void {
    this.#drained?.();
    if (!this.#live || this.#over) return;
    while (this.#ready && this.#queue.length > 0) {
      const chunk = this.#chunk();
      if (chunk.length > 0) this.#write(chunk);
    }
    if (this.#queue.length > 0 || this.#over) return;
    if (this.#dropped > 0) {
      // Where others of the connection left no room for any, what is dropped is counted until there is some.
      if (!this.#ready) return;
      const dropped = this.#dropped;
      this.#live = false;
      this.onCutOff(this, this.#last?.of?.item ?? this.#told, dropped);
    } else if (this.#ending) this.end();
  }

  /** The next results of the queue, without those that were told already. */
  #chunk(): Frame[] {
    const chunk: Frame[] = [];
    let bytes = 0;
    let taken = 0;
    for (const frame of this.#queue) {
      if (bytes >= chunkBytes) break;
      taken++;
      this.#count(-frame.bytes.length);
      if (this.#told && frame.of) {
        if (comparePositions(frame.of.position, this.#told) <= 0) continue;
        this.#told = null;
      }
      chunk.push(frame);
      bytes += frame.bytes.length;
    }
    this.#queue.splice(0, taken);
    return chunk;
  }
}

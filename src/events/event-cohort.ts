/** All who follow the same events: each is executed and serialized once for them, whatever their number. */
import type { StreamItem } from '../jobs/events.js';
import type { CommittedEvent, EventBus } from './bus.js';
import { Fifo } from './fifo.js';
import { type Frame, Member, type Sink } from './member.js';
import type { Position } from './position.js';
import type { EventSource } from './source.js';

/** What may wait to be executed; past either bound everybody is cut off, and resumes from the table. */
const bounds = { events: 1_000, bytes: 1_048_576 };
/** Executed before anything is sent, when nothing has to be waited for: they share one write per socket. */
const batchSize = 100;
/** Kept while somebody catches up: after a replica went away, many do so together. */
const kept = { frames: 256, ms: 10_000 };

/** Executes the subscription with a value as its root, and serializes the result. Never throws or rejects. */
export type Render = (value: object) => Buffer | Promise<Buffer>;

export class EventCohort {
  readonly #members = new Set<Member>();
  readonly #kept = new Map<bigint, Frame | Promise<Frame>>();
  #keptSince = 0;
  #catchingUp = 0;
  readonly #unsubscribe: () => void;
  readonly #waiting = new Fifo<CommittedEvent>();
  #waitingBytes = 0;
  #dropped = 0;
  #running = false;
  #snapshotBeingRead: Promise<unknown> = Promise.resolve();
  #nextSnapshot: Promise<Frame> | undefined;

  /** `onEmpty` is called when the last member has left: the cohort is then over. */
  constructor(
    private readonly source: EventSource,
    private readonly bus: EventBus,
    private readonly render: Render,
    private readonly onEmpty: () => void,
  ) {
    this.#unsubscribe = bus.subscribe(source.topic, (events) => this.#arrive(events));
  }

  /** Sends a new member what was before, or the state now, and then everything in order. Answers how to leave. */
  join(sink: Sink, after: Position | null): () => void {
    const member = new Member(sink, 'events', (...cutOff) => void this.#cutOff(...cutOff));
    // Live first, then what was before: what happens in between is in both, and told apart by its position.
    this.#members.add(member);
    this.#catchingUp++;
    this.#catchUp(member, after)
      .catch((error: unknown) => this.#end(member, error))
      .finally(() => {
        if (--this.#catchingUp === 0) this.#kept.clear();
      });
    return () => this.#end(member);
  }

  #end(member: Member, error?: unknown): void {
    member.end(error);
    if (!this.#members.delete(member) || this.#members.size > 0) return;
    this.#unsubscribe();
    this.#waiting.clear();
    this.onEmpty();
  }

  async #catchUp(member: Member, after: Position | null): Promise<void> {
    let told = after;
    while (told !== null && !member.over) {
      const remembered = this.bus.recent(this.source.topic, told);
      const events = remembered ?? (await this.source.read(told));
      if (events === null) break;
      // All that is remembered may be 16 MB: no more of it is made ready than the member takes.
      for (let start = 0; start < events.length && !member.over; start += batchSize) {
        await member.tell(await this.#framesOf(events.slice(start, start + batchSize)));
      }
      told = events.at(-1)?.position ?? told;
      // What is remembered is all there is; what is read is a page, until there is none.
      if (remembered || events.length === 0) return member.goLive(told);
    }
    if (member.over) return;
    const snapshot = await this.#snapshot();
    await member.tell([snapshot]);
    member.goLive(snapshot.of?.position ?? null);
  }

  /** One snapshot serves everybody who asked for one before its reading began. */
  #snapshot(): Promise<Frame> {
    this.#nextSnapshot ??= this.#snapshotBeingRead
      .catch(() => {})
      .then(() => {
        this.#nextSnapshot = undefined;
        const reading = this.#readSnapshot();
        this.#snapshotBeingRead = reading;
        return reading;
      });
    return this.#nextSnapshot;
  }

  async #readSnapshot(): Promise<Frame> {
    const { item, position } = await this.source.snapshot();
    return { bytes: await this.render(item), of: { item, position } };
  }

  async #framesOf(events: readonly CommittedEvent[]): Promise<Frame[]> {
    const frames: Frame[] = [];
    for (const event of events) if (this.source.includes(event)) frames.push(await this.#frameOf(event));
    return frames;
  }

  #frameOf(event: CommittedEvent): Frame | Promise<Frame> {
    const { position } = event;
    const earlier = this.#kept.get(position.id);
    // One that stalls while it catches up must not have later ones told of the job as it was long ago.
    if (earlier && Date.now() - this.#keptSince < kept.ms) return earlier;
    const item = this.source.itemOf(event);
    const frameFrom = (bytes: Buffer): Frame => ({ bytes, of: { item, position } });
    const bytes = this.render(item);
    const frame = bytes instanceof Promise ? bytes.then(frameFrom) : frameFrom(bytes);
    // Also what is still being executed: those who resume together ask for it at the same time.
    if (this.#catchingUp > 0) this.#keep(position.id, frame);
    return frame;
  }

  #keep(id: bigint, frame: Frame | Promise<Frame>): void {
    if (Date.now() - this.#keptSince >= kept.ms) this.#kept.clear();
    if (this.#kept.size === 0) this.#keptSince = Date.now();
    this.#kept.set(id, frame);
    if (this.#kept.size <= kept.frames) return;
    const [oldest] = this.#kept.keys();
    this.#kept.delete(oldest as bigint);
  }

  #arrive(events: readonly CommittedEvent[]): void {
    for (const event of events) {
      if (!this.source.includes(event)) continue;
      const full = this.#waiting.length >= bounds.events || this.#waitingBytes >= bounds.bytes;
      if (full || this.#dropped > 0) this.#dropped++;
      else {
        this.#waiting.push(event);
        this.#waitingBytes += event.bytes;
      }
    }
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    let frames: Frame[] = [];
    for (let event = this.#waiting.shift(); event; event = this.#waiting.shift()) {
      this.#waitingBytes -= event.bytes;
      const frame = this.#frameOf(event);
      if (frame instanceof Promise) {
        this.#deliver(frames);
        frames = [await frame];
      } else frames.push(frame);
      if (frames.length >= batchSize) {
        this.#deliver(frames);
        frames = [];
      }
    }
    this.#deliver(frames);
    this.#running = false;
    if (this.#dropped === 0) return;
    const dropped = this.#dropped;
    this.#dropped = 0;
    for (const member of this.#members) member.cutOff(dropped);
  }

  #deliver(frames: readonly Frame[]): void {
    if (frames.length > 0) for (const member of this.#members) member.deliver(frames);
  }

  async #cutOff(member: Member, last: StreamItem | Position | null, dropped: number): Promise<void> {
    if (last) {
      const item = this.source.lagged(last, dropped);
      await member.tell([{ bytes: await this.render(item), of: null }]);
    }
    this.#end(member);
  }
}

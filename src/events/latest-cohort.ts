/** All who follow the same values, of which only the newest counts: each is executed and serialized once for them. */
import type { Render } from './event-cohort.js';
import { type Frame, Member, type Sink } from './member.js';
import type { LatestSource } from './source.js';

/** Values come about once in an interval: one that is a little early need not wait for the next. */
const restShare = 0.9;

export class LatestCohort {
  readonly #members = new Set<Member>();
  #stop: (() => void) | undefined;
  #value: object | undefined;
  #frame: Frame | undefined;
  #running = false;
  #ended: { error?: unknown } | undefined;
  #endRest: () => void = () => {};

  /** `onEmpty` is called when the last member has left: the cohort is then over. */
  constructor(
    private readonly source: LatestSource,
    private readonly render: Render,
    private readonly onEmpty: () => void,
  ) {}

  /** Sends a new member the newest value, if there is one, and then each newer. Answers how to leave. */
  join(sink: Sink): () => void {
    const member = new Member(sink, 'latest', () => {});
    this.#members.add(member);
    member.goLive(null);
    if (this.#frame) member.deliver([this.#frame]);
    if (!this.#stop) this.#follow();
    // A slow member may keep the cohort when there is nothing to follow any more.
    else if (this.#ended && !this.#running) this.#finish(member, this.#ended);
    return () => this.#leave(member);
  }

  #follow(): void {
    const stop = this.source.follow(
      (value) => {
        this.#value = value;
        if (!this.#running) void this.#run();
      },
      (error) => {
        this.#ended = { error };
        this.#endRest();
        if (!this.#running) void this.#run();
      },
    );
    // Everybody may have left already, when there was nothing to follow.
    if (this.#members.size === 0) stop();
    else this.#stop = stop;
  }

  #leave(member: Member, error?: unknown): void {
    member.end(error);
    if (!this.#members.delete(member) || this.#members.size > 0) return;
    this.#stop?.();
    this.#endRest();
    this.onEmpty();
  }

  #rest(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.source.intervalMs * restShare);
      this.#endRest = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let value = this.#value; value; value = this.#value) {
      this.#value = undefined;
      const frame = { bytes: await this.render(value), of: null };
      this.#frame = frame;
      for (const member of this.#members) member.deliver([frame]);
      // The last value is told at once, whatever the interval.
      if (!this.#ended) await this.#rest();
    }
    this.#running = false;
    if (!this.#ended) return;
    for (const member of this.#members) this.#finish(member, this.#ended);
  }

  #finish(member: Member, { error }: { error?: unknown }): void {
    if (error === undefined) member.complete();
    else this.#leave(member, error);
  }
}

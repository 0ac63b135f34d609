/** Values of which only the newest counts, read in turns: one reading serves everybody in this process who follows them. */
import type { Logger } from 'pino';

/** From the end of one turn to the next: 50 workers that each announce something every second cause at most five readings. */
const turnSpacingMs = 200;
/** Everything followed is read so often at the least: a lost announcement only delays. */
const fallbackMs = 1_000;

/** Told the value now, if there is one, and each newer one, then that there will be none any more. Answers how to stop. */
export type Follow<Value> = (onValue: (value: Value) => void, onEnd: (error?: unknown) => void) => () => void;

/** What a subject is asked about: `latest` is what its followers were told last. */
export interface Asked<Subject, Value> {
  subject: Subject;
  latest: Value | undefined;
}

/** What was found out about a subject: a newer value, that there will be none any more, or both. */
export interface Found<Value> {
  value?: Value;
  end?: { error?: unknown };
}

export interface LatestValues<Subject, Value> {
  follow(subject: Subject): Follow<Value>;
  /** There is something new: read again soon. */
  wake(): void;
  /** Waits for the present turn. Nobody is told anything any more. */
  close(): Promise<void>;
}

interface Topic<Subject, Value> extends Asked<Subject, Value> {
  key: string;
  followers: Set<Follower<Value>>;
}

interface Follower<Value> {
  onValue(value: Value): void;
  onEnd(error?: unknown): void;
  wasTold: boolean;
}

/**
 * `read` answers in the order it was asked, undefined where there is nothing new. When it fails nobody is told: it is
 * asked again in the next turn. Subjects with the same key are one.
 */
export function createLatestValues<Subject, Value>(options: {
  /** In the log: what is read. */
  what: string;
  keyOf(subject: Subject): string;
  read(asked: readonly Asked<Subject, Value>[]): Promise<(Found<Value> | undefined)[]>;
  log: Logger;
}): LatestValues<Subject, Value> {
  const { what, keyOf, read, log } = options;
  const topics = new Map<string, Topic<Subject, Value>>();
  /** Not read yet, so that a newcomer need not wait for, nor cause, a reading of everything. */
  const newcomers = new Set<Topic<Subject, Value>>();
  let woken = false;
  let failing = false;
  let closed = false;
  let turnEndedAt = Number.NEGATIVE_INFINITY;
  let allReadAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let turning: Promise<void> | undefined;

  function schedule(): void {
    clearTimeout(timer);
    if (closed || turning || topics.size === 0) return;
    const dueAt = woken || newcomers.size > 0 ? turnEndedAt + turnSpacingMs : allReadAt + fallbackMs;
    timer = setTimeout(
      () => {
        turning = turn().then(() => {
          turning = undefined;
          turnEndedAt = performance.now();
          schedule();
        });
      },
      Math.max(0, dueAt - performance.now()),
    );
  }

  async function turn(): Promise<void> {
    const everything = woken || newcomers.size === 0 || performance.now() >= allReadAt + fallbackMs;
    const asked = [...(everything ? topics.values() : newcomers)];
    newcomers.clear();
    if (everything) {
      woken = false;
      allReadAt = performance.now();
    }
    try {
      const found = await read(asked);
      failing = false;
      asked.forEach((topic, index) => {
        const news = found[index];
        if (news && !closed) tell(topic, news);
      });
    } catch (error) {
      if (!failing && !closed) log.warn({ err: error }, `reading ${what} failed, trying again`);
      failing = true;
    }
  }

  function tell(topic: Topic<Subject, Value>, { value, end }: Found<Value>): void {
    if (value !== undefined) {
      topic.latest = value;
      for (const follower of [...topic.followers]) if (topic.followers.has(follower)) tellValue(follower, value);
    }
    if (!end) return;
    forget(topic);
    for (const follower of [...topic.followers]) {
      if (topic.followers.delete(follower)) guarded(() => follower.onEnd(end.error));
    }
  }

  function tellValue(follower: Follower<Value>, value: Value): void {
    follower.wasTold = true;
    guarded(() => follower.onValue(value));
  }

  /** Whatever one follower does wrong must not keep the value from the others. */
  function guarded(call: () => void): void {
    try {
      call();
    } catch (error) {
      log.error({ err: error }, `a follower of ${what} failed`);
    }
  }

  function topicOf(subject: Subject): Topic<Subject, Value> {
    const key = keyOf(subject);
    const known = topics.get(key);
    if (known) return known;
    const topic: Topic<Subject, Value> = { key, subject, latest: undefined, followers: new Set() };
    topics.set(key, topic);
    newcomers.add(topic);
    return topic;
  }

  function forget(topic: Topic<Subject, Value>): void {
    if (topics.get(topic.key) === topic) topics.delete(topic.key);
    newcomers.delete(topic);
  }

  return {
    follow: (subject) => (onValue, onEnd) => {
      if (closed) return () => {};
      const topic = topicOf(subject);
      const follower: Follower<Value> = { onValue, onEnd, wasTold: false };
      topic.followers.add(follower);
      // Not before the caller knows how to stop.
      queueMicrotask(() => {
        const { latest, followers } = topic;
        if (latest !== undefined && !follower.wasTold && followers.has(follower)) tellValue(follower, latest);
      });
      schedule();
      return () => {
        if (!topic.followers.delete(follower) || topic.followers.size > 0) return;
        forget(topic);
        schedule();
      };
    },
    wake() {
      woken = true;
      schedule();
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      topics.clear();
      newcomers.clear();
      await turning;
    },
  };
}

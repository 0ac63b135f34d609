import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { batched } from '../../src/batched.js';

/** Loads that are answered when the test says so. */
function loads() {
  const asked: string[][] = [];
  const answers: { answer(of: (id: string) => string | null): void; fail(error: Error): void }[] = [];
  const load = batched<string>((ids) => {
    asked.push(ids);
    return new Promise((resolve, reject) => {
      answers.push({
        answer: (of) => resolve(new Map(ids.flatMap((id) => (of(id) === null ? [] : [[id, of(id) as string]])))),
        fail: reject,
      });
    });
  });
  return { load, asked, answers };
}
/** Everything that can happen at once has happened. */
const settled = async () => {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
};

describe('loads of one thing each', () => {
  test('that are asked for in one turn are done together, each thing once, and each answered with its own', async () => {
    const { load, asked, answers } = loads();
    const answered = Promise.all(['a', 'b', 'a', 'none'].map(load));
    await Promise.resolve();
    const late = load('c');
    expect(asked).toEqual([]);
    await settled();
    expect(asked).toEqual([['a', 'b', 'none', 'c']]);
    answers[0]?.answer((id) => (id === 'none' ? null : `${id}!`));
    expect(await answered).toEqual(['a!', 'b!', 'a!', null]);
    expect(await late).toBe('c!');
  });

  test('that are asked for while one is under way wait for it together, and are not answered with what it read before', async () => {
    const { load, asked, answers } = loads();
    const first = load('a');
    await settled();
    const later = [load('a')];
    await settled();
    later.push(load('b'));
    await settled();
    expect(asked).toEqual([['a']]);
    answers[0]?.answer(() => 'old');
    expect(await first).toBe('old');
    await settled();
    expect(asked).toEqual([['a'], ['a', 'b']]);
    answers[1]?.answer(() => 'new');
    expect(await Promise.all(later)).toEqual(['new', 'new']);
  });

  test('all fail when it fails, and those that waited for it are done all the same', async () => {
    const { load, answers } = loads();
    const failing = Promise.allSettled([load('a'), load('b')]);
    await settled();
    const next = load('a');
    answers[0]?.fail(new Error('away'));
    expect(await failing).toEqual([1, 2].map(() => ({ status: 'rejected', reason: new Error('away') })));
    await settled();
    answers[1]?.answer(() => 'back');
    expect(await next).toBe('back');
  });

  test('do not wait for ever for one that is never answered', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { load, asked, answers } = loads();
    void load('a');
    await settled();
    const next = load('b');
    await settled();
    expect(asked).toEqual([['a']]);
    vi.advanceTimersByTime(10_000);
    await settled();
    expect(asked).toEqual([['a'], ['b']]);
    answers[1]?.answer(() => 'there');
    expect(await next).toBe('there');
  });
});

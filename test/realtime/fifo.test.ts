import { describe, expect, test } from 'vitest';
import { Fifo } from '../../src/events/fifo.js';

const numbers = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, index) => first + index);

describe('a queue', () => {
  test('gives back what was put in, in order, however both are mixed', () => {
    const queue = new Fifo<number>();
    const taken: number[] = [];
    let put = 0;
    // More than the 1,024 after which its array is cut, again and again, and often empty in between.
    for (const [pushes, shifts] of [
      [3_000, 1_023],
      [1, 1],
      [1, 2_000],
      [10, 20],
      [5_000, 4_999],
      [2_000, 2_001],
    ] as const) {
      for (let count = 0; count < pushes; count++) queue.push(++put);
      for (let count = 0; count < shifts; count++) {
        const item = queue.shift();
        if (item !== undefined) taken.push(item);
      }
      expect(queue.length).toBe(put - taken.length);
    }
    expect(taken).toEqual(numbers(1, put));
    expect(queue.shift()).toBeUndefined();
  });

  test('knows its last ones, and none that were taken', () => {
    const queue = new Fifo<number>();
    for (const number of numbers(1, 2_000)) queue.push(number);
    for (let count = 0; count < 1_500; count++) queue.shift();
    expect(queue.tail((number) => number > 1_990)).toEqual(numbers(1_991, 2_000));
    expect(queue.tail(() => true)).toEqual(numbers(1_501, 2_000));
    expect(queue.tail(() => false)).toEqual([]);
    // From the end on, as far as it holds.
    expect(queue.tail((number) => number !== 1_999)).toEqual([2_000]);
    expect(queue.length).toBe(500);
  });

  test('is empty when it was cleared, and can be used on', () => {
    const queue = new Fifo<string>();
    for (const word of ['a', 'b', 'c']) queue.push(word);
    queue.shift();
    queue.clear();
    expect([queue.length, queue.shift(), queue.tail(() => true)]).toEqual([0, undefined, []]);
    queue.push('d');
    expect([queue.length, queue.shift()]).toEqual([1, 'd']);
  });
});

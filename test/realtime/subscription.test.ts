/** One subscription as its transport holds it, from its beginning to its end. */
import { GraphQLError } from 'graphql';
import { describe, expect, test, vi } from 'vitest';
import type { Frame, Sink } from '../../src/events/member.js';
import { Subscription } from '../../src/http/subscription.js';
import { json, sink } from '../testkit/sink.js';

describe('a subscription', () => {
  const frame = (number: number): Frame => ({ bytes: json({ number }), of: null });
  const present = (error: unknown) => new GraphQLError(`shown: ${(error as Error).message}`);
  function open(pushed?: Sink) {
    const joined: Sink[] = [];
    const leave = vi.fn();
    const subscription = new Subscription({
      join(joining) {
        joined.push(joining);
        return leave;
      },
      sink: pushed,
      present,
    });
    return { subscription, joined, leave };
  }
  const textOf = ({ value }: IteratorResult<unknown, unknown>) => (value as { stringify(): string }).stringify();

  test('begins when it is first asked for a result, and gives one at a time', async () => {
    const { subscription, joined } = open();
    expect(joined).toEqual([]);
    const first = subscription.next();
    const [joining] = joined as [Sink];
    const ready = vi.fn();
    joining.onReady = ready;
    expect(joining.write([frame(1), frame(2)])).toBe(false);
    expect(textOf(await first)).toBe('{"number":1}');
    expect(ready).not.toHaveBeenCalled();
    expect(textOf(await subscription.next())).toBe('{"number":2}');
    expect(ready).toHaveBeenCalledOnce();
    expect(joined).toHaveLength(1);
  });

  test('that is pulled ends with what went wrong as its last result, behind those that came before', async () => {
    const { subscription, joined, leave } = open();
    const first = subscription.next();
    joined[0]?.write([frame(1)]);
    joined[0]?.end(new Error('away'));
    joined[0]?.end();
    expect(textOf(await first)).toBe('{"number":1}');
    expect((await subscription.next()).value).toEqual({ errors: [new GraphQLError('shown: away')] });
    expect(await subscription.next()).toEqual({ done: true, value: undefined });
    expect(leave).toHaveBeenCalledOnce();
  });

  test('that is pushed has no results of its own, and fails with what went wrong', async () => {
    const pushed = sink();
    const { subscription, joined } = open(pushed);
    const next = subscription.next();
    expect(joined).toEqual([pushed]);
    pushed.end(new Error('away'));
    await expect(next).rejects.toThrow('shown: away');
    expect(await subscription.next()).toEqual({ done: true, value: undefined });
  });

  test('leaves once, whoever ends it and however often', async () => {
    const { subscription, leave } = open();
    const waiting = subscription.next();
    await subscription.return();
    await subscription.throw();
    subscription.end(new Error('late'));
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await subscription.next()).toEqual({ done: true, value: undefined });
    expect(leave).toHaveBeenCalledOnce();
  });

  test('that was ended before it began never begins', async () => {
    const { subscription, joined } = open();
    subscription.end(new Error('revoked'));
    expect((await subscription.next()).value).toEqual({ errors: [new GraphQLError('shown: revoked')] });
    expect(await subscription.next()).toEqual({ done: true, value: undefined });
    expect(joined).toEqual([]);
  });

  test('that ends as it begins leaves all the same', async () => {
    const leave = vi.fn();
    const subscription = new Subscription({
      join(joining) {
        joining.end();
        return leave;
      },
      sink: undefined,
      present,
    });
    expect((await subscription.next()).done).toBe(true);
    expect(leave).toHaveBeenCalledOnce();
  });
});

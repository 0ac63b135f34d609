/** A peer of the realtime benchmark: graphql-ws and graphql-js as they come, with the simplest queue that can be published to. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buildSchema } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { type PeerEvent, peerTypes, servePeer } from './realtime-peer.js';

const subscribers = new Set<Queue>();

class Queue implements AsyncIterableIterator<{ jobEvents: PeerEvent }> {
  private readonly events: PeerEvent[] = [];
  private hand: ((result: IteratorResult<{ jobEvents: PeerEvent }>) => void) | undefined;

  push(event: PeerEvent): void {
    if (!this.hand) this.events.push(event);
    else {
      const { hand } = this;
      this.hand = undefined;
      hand({ done: false, value: { jobEvents: event } });
    }
  }

  next(): Promise<IteratorResult<{ jobEvents: PeerEvent }>> {
    const event = this.events.shift();
    if (event) return Promise.resolve({ done: false, value: { jobEvents: event } });
    return new Promise((resolve) => {
      this.hand = resolve;
    });
  }

  async return(): Promise<IteratorResult<{ jobEvents: PeerEvent }>> {
    subscribers.delete(this);
    this.hand?.({ done: true, value: undefined });
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

const schema = buildSchema(peerTypes);
const field = schema.getSubscriptionType()?.getFields().jobEvents;
if (!field) throw new Error('The schema has no subscription jobEvents.');
field.subscribe = () => {
  const queue = new Queue();
  subscribers.add(queue);
  return queue;
};

const server = createServer();
useServer({ schema }, new WebSocketServer({ server, path: '/graphql' }));

servePeer(
  async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  },
  (event) => {
    for (const queue of subscribers) queue.push(event);
  },
);

/** A peer of the realtime benchmark: Mercurius on Fastify, with its compiler of queries and its own publish and subscribe. */
import type { AddressInfo } from 'node:net';
import fastify from 'fastify';
import mercurius from 'mercurius';
import { type PeerEvent, peerTypes, servePeer } from './realtime-peer.js';

const topic = 'job';
const app = fastify();
app.register(mercurius, {
  schema: peerTypes,
  jit: 1,
  subscription: true,
  resolvers: {
    Subscription: {
      jobEvents: { subscribe: (_root: unknown, _args: unknown, { pubsub }) => pubsub.subscribe(topic) },
    },
  },
});

servePeer(
  async () => {
    await app.listen({ port: 0, host: '127.0.0.1' });
    return (app.server.address() as AddressInfo).port;
  },
  (event: PeerEvent) => app.graphql.pubsub.publish({ topic, payload: { jobEvents: event } }),
);

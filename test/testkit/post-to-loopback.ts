/**
 * Run by itself, since Node reads the authorities to trust when it starts: posts to each URL of the command line, whose
 * names all lead to 127.0.0.1, and prints what came of them as a JSON array.
 */
import { createGate } from '../../src/net/gate.js';
import { post } from '../../src/webhooks/post.js';

const policy = { allowedNetworks: ['127.0.0.0/8'], allowedHosts: [], deniedPorts: [] };
const gate = createGate({ policy, lookup: async () => ['127.0.0.1'] });
const outcomes = await Promise.all(
  process.argv
    .slice(2)
    .map((url) => post(gate, { url, headers: {}, body: '{"seq":1}', signal: AbortSignal.timeout(15_000) })),
);
process.stdout.write(JSON.stringify(outcomes));

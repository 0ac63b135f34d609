/** `npm start`: runs the service until Ctrl-C. */
import { loadConfig } from '../src/config.js';
import { onInterrupt } from './interrupt.js';
import { startStack } from './stack.js';

const print = (line: string) => console.log(line);

try {
  const config = loadConfig();
  const starting = new AbortController();
  const started = startStack({ config, log: print, signal: starting.signal });
  let stop = async () => {
    starting.abort(new Error('Stopped while starting.'));
    await started.catch(() => {});
  };
  let abort = () => {};
  onInterrupt({
    first: async () => {
      print('\nStopping; recordings are closed first. Press Ctrl-C again to kill everything at once.');
      await stop();
    },
    second: () => abort(),
    exitCode: 0,
  });
  const stack = await started;
  ({ stop, abort } = stack);
  print(`
Tapedeck is running.

  GraphQL, GraphiQL   ${stack.url}/graphql
  Demo page           ${stack.url}/demo
${stack.temporalUiUrl ? `  Temporal            ${stack.temporalUiUrl}\n` : ''}  API key             ${stack.apiKey || '(create one with createApiKey)'}

Try it:

  curl -s ${stack.url}/graphql -H 'content-type: application/json' -H 'authorization: Bearer ${stack.apiKey}' \\
    -d '{"query":"mutation { startArchive(input: {url: \\"${stack.url}/demo\\", maxDuration: 10}) { __typename } }"}'

Ctrl-C stops everything.
`);
} catch (error) {
  console.error(`\n${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

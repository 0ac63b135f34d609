/** `npm start`: runs the service until Ctrl-C. */
import { loadConfig } from '../src/config.js';
import { onInterrupt } from './interrupt.js';
import { type Stack, startStack } from './stack.js';

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
${stack.temporalUiUrl ? `  Temporal            ${stack.temporalUiUrl}\n` : ''}  API key             ${stack.apiKey || '(make the first one with: npm run key -- NAME)'}

${stack.apiKey ? tryIt(stack) : ''}Ctrl-C stops everything.
`);
} catch (error) {
  console.error(`\n${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

function tryIt({ url, apiKey }: Stack): string {
  return `Try it:

  curl -s ${url}/graphql -H 'content-type: application/json' -H 'authorization: Bearer ${apiKey}' \\
    -d '{"query":"mutation { startArchive(input: {url: \\"${url}/demo\\", maxDuration: 10}) { __typename } }"}'

`;
}

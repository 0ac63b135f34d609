/** Renders as a client makes and follows them. */
import { api } from './api.js';

export interface RenderFacts {
  id: string;
  status: string;
  streamId: string | null;
  reason: string | null;
}

export type RenderKit = ReturnType<typeof createRenderKit>;

export function createRenderKit(key: string) {
  const client = api(key);
  return {
    async start(input: object): Promise<RenderFacts> {
      const { startRender } = await client.get<{ startRender: { render: RenderFacts } }>(
        `mutation($input: StartRenderInput!) { startRender(input: $input) {
           ... on StartRenderPayload { render { id status streamId reason } } ... on Error { code message } } }`,
        { input },
      );
      return startRender.render;
    },
    async facts(id: string): Promise<RenderFacts> {
      const { render } = await client.get<{ render: RenderFacts }>(
        'query($id: ID!) { render(id: $id) { id status streamId reason } }',
        { id },
      );
      return render;
    },
    async stop(id: string): Promise<string> {
      const { stopRender } = await client.get<{ stopRender: { __typename: string } }>(
        'mutation($input: StopRenderInput!) { stopRender(input: $input) { __typename } }',
        { input: { renderId: id } },
      );
      return stopRender.__typename;
    },
  };
}

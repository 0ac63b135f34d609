import { serverAudits } from 'graphql-http';
import { describe, inject, test } from 'vitest';

describe('GraphQL over HTTP', () => {
  for (const audit of serverAudits({ url: `${inject('stack').url}/graphql`, fetchFn: fetch })) {
    test(audit.name, async ({ expect }) => {
      const result = await audit.fn();
      const reason = 'reason' in result ? result.reason : '';
      expect(`${result.status} ${reason}`.trim()).toBe('ok');
    });
  }
});

/** Pages of connections: how long they may be, what they cost, and which cursors can be meant. */
import { GraphQLError } from 'graphql';

export const defaultPageSize = 20;
export const maxPageSize = 100;

interface PageArguments {
  first?: number | null;
  last?: number | null;
  after?: string | null;
  before?: string | null;
}

/** Options of the field `totalCount` of a connection that is given `totalCount` too. */
export const totalCountField = {
  description:
    'How many there are on all pages together. They are counted each time: with a million rows a page is faster.',
  extensions: { pothosPrismaTotalCount: true },
  complexity: 10,
  // The connection has it: as a function below a root field, as a number below a row. The types do not say so.
  resolve: (page: unknown) => {
    const { totalCount } = page as { totalCount: number | (() => Promise<number>) };
    return typeof totalCount === 'function' ? totalCount() : totalCount;
  },
};

/**
 * The cost of a connection field: its selection once for each row asked for. Every document is priced before it is
 * executed, so sizes and cursors that cannot be meant are refused here, once for all connections.
 */
export function pageCost(page: PageArguments): { field: number; multiplier: number } {
  const { first, last, after, before } = page;
  if (first != null && last != null) refuse('Give `first` or `last`, not both.');
  for (const [name, size] of Object.entries({ first, last })) {
    if (size != null && (size < 1 || size > maxPageSize)) {
      refuse(`\`${name}\` must be from 1 to ${maxPageSize}, not ${size}. Ask for further pages with a cursor.`);
    }
  }
  for (const [name, cursor] of Object.entries({ after, before })) {
    if (cursor != null && !isCursor(cursor))
      refuse(`\`${name}\` must be a cursor taken from a page of this connection.`);
  }
  return { field: 1, multiplier: first ?? last ?? defaultPageSize };
}

// Rows are paged by their uuid; anything else would be an error of the database instead of an answer.
function isCursor(cursor: string): boolean {
  if (cursor.length > 100) return false;
  return /^GPC:S:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(Buffer.from(cursor, 'base64').toString('latin1'));
}

function refuse(message: string): never {
  throw new GraphQLError(message, { extensions: { code: 'BAD_USER_INPUT' } });
}

/** Where an event stands in the order of commits, and the opaque cursor that clients keep of it. */

/** Events are ordered by writing transaction, then id. */
export interface Position {
  xid: bigint;
  id: bigint;
}

export function comparePositions(a: Position, b: Position): number {
  if (a.xid !== b.xid) return a.xid < b.xid ? -1 : 1;
  if (a.id !== b.id) return a.id < b.id ? -1 : 1;
  return 0;
}

/** The cursor of a position. `epoch` names the database, so that a cursor of another one is recognised. */
export function formatCursor(epoch: string, position: Position): string {
  return Buffer.from(`${epoch}:${position.xid}:${position.id}`).toString('base64url');
}

const most = 2n ** 63n - 1n;

/** The position in a cursor, `foreign` when it is of another database, or null when it is no cursor at all. */
export function parseCursor(epoch: string, cursor: string): Position | 'foreign' | null {
  if (cursor.length > 200) return null;
  const text = Buffer.from(cursor, 'base64url').toString('utf8');
  const match = /^([0-9a-f-]{36}):(\d{1,20}):(\d{1,19})$/.exec(text);
  if (!match) return null;
  if (match[1] !== epoch) return 'foreign';
  const position = { xid: BigInt(match[2] as string), id: BigInt(match[3] as string) };
  // Beyond what the database counts with, it was made up.
  return position.xid > most || position.id > most ? null : position;
}

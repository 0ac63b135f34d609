/** Global ids as they are written: opaque to clients, the type's name and the row's uuid to us. */

export function encodeId(type: string, id: string | number | bigint): string {
  return Buffer.from(`${type}:${id}`).toString('base64url');
}

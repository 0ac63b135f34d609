/** Which storage a process uses: what is stored by one is found by another only when both say the same. */
import { join } from 'node:path';
import { type Config, dataFolder } from '../config.js';
import { lastingId } from '../lasting-id.js';

/** In the folder that files are kept in; begins with a dot, so it is no storage key. */
export const markerFile = '.storage-id';

/** `s3:<endpoint>/<bucket>/<prefix>`, or `local:<id>` of the folder, in which a marker is made the first time. Holds no secret. */
export function storageIdentity(config: Config): string {
  if (!config.s3) return `local:${lastingId(join(dataFolder(config, 'files'), markerFile))}`;
  const { endpoint, bucket, prefix } = config.s3;
  return `s3:${endpoint ? placeOf(endpoint) : 'aws'}/${bucket}/${prefix}`;
}

/** However it is written: the case of the name, the usual port and a final slash make no difference. */
function placeOf(endpoint: string): string {
  const { origin, pathname } = new URL(endpoint);
  return origin + pathname.replace(/\/+$/, '');
}

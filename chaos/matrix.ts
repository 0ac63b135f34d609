/** All rows of the fault matrix, in the order in which they are run: those that need the same service one after the other. */
import type { Row } from './row.js';
import { captureRows } from './rows/capture.js';
import { networkRows } from './rows/network.js';
import { requestRows } from './rows/requests.js';
import { roomRows } from './rows/rooms.js';
import { serviceRows } from './rows/services.js';
import { diskRows, storageRows } from './rows/storage.js';
import { streamRows } from './rows/streams.js';
import { taskRows } from './rows/tasks.js';

export const matrix: readonly Row[] = [
  ...captureRows,
  ...serviceRows,
  ...roomRows,
  ...streamRows,
  ...requestRows,
  ...networkRows,
  ...diskRows,
  ...taskRows,
  ...storageRows,
];

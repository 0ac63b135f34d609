/** Every workflow the jobs worker knows. */
export { deliver } from './deliver.js';
export { job } from './job.js';
export { scheduled } from './scheduled.js';
export { webhook } from './webhook.js';

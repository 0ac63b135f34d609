/** Every workflow the jobs worker knows. */
export { job } from './job.js';

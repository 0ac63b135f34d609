/**
 * Watches a job, or all of a project, with urql:
 * `node --import tsx examples/urql/watch.ts --key td_… [id of a job]`
 */
import { Client, subscriptionExchange } from '@urql/core';
import { JobEvents, ProjectEvents } from '../client/operations.js';
import { connect, eventIn, show, watchOptions } from '../watching.js';
import { resuming } from './resume.js';

const options = watchOptions();
const client = new Client({
  url: `${options.url}/graphql`,
  exchanges: [subscriptionExchange({ forwardSubscription: resuming(connect(options)) })],
  preferGetMethod: false,
});

const events = options.jobId
  ? client.subscription(JobEvents, { jobId: options.jobId })
  : client.subscription(ProjectEvents, {});
events.subscribe(({ data, error }) => {
  if (error) {
    console.error(error.message);
    process.exit(1);
  }
  const event = eventIn(data);
  if (event) show(event);
});

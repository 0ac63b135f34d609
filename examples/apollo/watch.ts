/**
 * Watches a job, or all of a project, with Apollo Client:
 * `node --import tsx examples/apollo/watch.ts --key td_… [id of a job]`
 */
import { ApolloClient, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { JobEvents, ProjectEvents } from '../client/operations.js';
import { connect, eventIn, show, watchOptions } from '../watching.js';
import { resumeLink } from './resume-link.js';

const options = watchOptions();
const client = new ApolloClient({
  link: resumeLink.concat(new GraphQLWsLink(connect(options))),
  cache: new InMemoryCache(),
});

// Events are things that happened, not objects with a state: the cache has no use for them.
const fetchPolicy = 'no-cache';
const observer = {
  next({ data, error }: { data?: object | null; error?: Error }) {
    if (error) {
      console.error(error.message);
      process.exit(1);
    }
    const event = eventIn(data);
    if (event) show(event);
  },
};
if (options.jobId) {
  client.subscribe({ query: JobEvents, variables: { jobId: options.jobId }, fetchPolicy }).subscribe(observer);
} else {
  client.subscribe({ query: ProjectEvents, fetchPolicy }).subscribe(observer);
}

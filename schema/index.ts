/** The schema, built from the files of its domains. */
import './archive.js';
import './archive-requests.js';
import './errors.js';
import './file.js';
import './job.js';
import './job-events.js';
import './job-requests.js';
import './jobs.js';
import './node.js';
import './project.js';
import './project-events.js';
import './room.js';
import './scalars.js';
import './session.js';
import './stats.js';
import './webhook.js';
import { builder } from './builder.js';

export const schema = builder.toSchema();

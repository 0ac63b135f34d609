/** Writes the schema as SDL to schema/schema.graphql, which is committed and compared by a test. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { lexicographicSortSchema, printSchema } from 'graphql';
import { schema } from '../schema/index.js';

writeFileSync(
  fileURLToPath(new URL('../schema/schema.graphql', import.meta.url)),
  `${printSchema(lexicographicSortSchema(schema))}\n`,
);

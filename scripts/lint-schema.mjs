/** Lints the printed GraphQL schema: what clients see is consistent, described, and keeps Relay's rules. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import graphqlPlugin from '@graphql-eslint/eslint-plugin';
import { ESLint } from 'eslint';
import { projectRoot } from './setup/machine.mjs';

const schemaFile = join('schema', 'schema.graphql');

const config = {
  files: ['**/*.graphql'],
  plugins: { '@graphql-eslint': graphqlPlugin },
  languageOptions: {
    parser: graphqlPlugin.parser,
    parserOptions: { graphQLConfig: { schema: join(projectRoot, schemaFile) } },
  },
  rules: {
    ...graphqlPlugin.configs['flat/schema-recommended'].rules,
    ...graphqlPlugin.configs['flat/schema-relay'].rules,
    '@graphql-eslint/require-description': ['error', { types: true, rootField: true }],
    // The recommended one also forbids prefixes and suffixes, of which the names fixed for clients have some.
    '@graphql-eslint/naming-convention': [
      'error',
      {
        types: 'PascalCase',
        FieldDefinition: 'camelCase',
        InputValueDefinition: 'camelCase',
        DirectiveDefinition: 'camelCase',
        EnumValueDefinition: 'UPPER_CASE',
      },
    ],
    // Values, payloads and events are no entities.
    '@graphql-eslint/strict-id-in-types': 'off',
    // Short lists that are always wanted whole, such as the gaps of a recording, are no connections.
    '@graphql-eslint/relay-edge-types': ['error', { listTypeCanWrapOnlyEdgeType: false }],
  },
};

if (existsSync(join(projectRoot, schemaFile))) {
  const eslint = new ESLint({ cwd: projectRoot, overrideConfigFile: true, overrideConfig: [config] });
  const results = await eslint.lintFiles([schemaFile]);
  const { format } = await eslint.loadFormatter('stylish');
  const report = await format(results);
  if (report) console.log(report);
  if (results.some(({ errorCount }) => errorCount > 0)) process.exitCode = 1;
}

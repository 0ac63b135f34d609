/** Values that GraphQL has no type for. */
import { GraphQLError } from 'graphql';
import { parseCursor } from '../src/events/position.js';
import { builder } from './builder.js';

const refuse = (message: string): never => {
  throw new GraphQLError(message, { extensions: { code: 'BAD_USER_INPUT' } });
};

// Year, month, day, T, time, and an offset: a time without an offset means another moment on every machine.
const dateTimePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/i;

builder.scalarType('DateTime', {
  description: 'A moment, as ISO 8601 with an offset, such as `2030-01-31T12:00:00.000Z`. Answers are in UTC.',
  specifiedByURL: 'https://datatracker.ietf.org/doc/html/rfc3339',
  serialize: (value) => value.toISOString(),
  parseValue: (value) => {
    const date = typeof value === 'string' && dateTimePattern.test(value) ? new Date(value) : undefined;
    if (!date || Number.isNaN(date.getTime())) {
      return refuse('DateTime must be ISO 8601 with an offset, such as "2030-01-31T12:00:00Z".');
    }
    return date;
  },
});

builder.scalarType('BigInt', {
  description: 'A whole number beyond the range of Int, as decimal digits in a string.',
  serialize: (value) => value.toString(),
  parseValue: (value) => {
    if (typeof value !== 'string' || !/^-?\d{1,19}$/.test(value)) {
      return refuse('BigInt must be a string of at most 19 decimal digits.');
    }
    return BigInt(value);
  },
});

builder.scalarType('Base64', {
  description: 'Bytes in standard Base64 with padding.',
  specifiedByURL: 'https://datatracker.ietf.org/doc/html/rfc4648#section-4',
  serialize: (value) => Buffer.from(value).toString('base64'),
  parseValue: (value) => {
    if (typeof value !== 'string' || value.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(value))
      return refuse('Base64 must be a string in standard Base64 with padding.');
    return new Uint8Array(Buffer.from(value, 'base64'));
  },
});

builder.scalarType('Cursor', {
  description:
    'A place in a stream of events. Opaque: keep the one of the last event received, and give it as `after` to go on from there.',
  serialize: (value) => value,
  parseValue: (value) => {
    // Whatever database it is of, which only the stream can tell.
    if (typeof value !== 'string' || parseCursor('', value) === null)
      return refuse('Cursor must be taken from an event.');
    return value;
  },
});

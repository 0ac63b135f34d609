/** Subscriptions: all that ask the same with the same rights are one cohort, which executes each event once. */
import { randomUUID } from 'node:crypto';
import {
  createSourceEventStream,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  execute,
  getOperationAST,
  Kind,
  print,
  visit,
} from 'graphql';
import type { Logger } from 'pino';
import type { Viewer } from '../auth/viewer.js';
import type { Context } from '../context.js';
import type { EventBus } from '../events/bus.js';
import { EventCohort, type Render } from '../events/event-cohort.js';
import { LatestCohort } from '../events/latest-cohort.js';
import type { Sink } from '../events/member.js';
import { type Source, Stream } from '../events/source.js';
import { presentError } from './errors.js';
import { type Presenter, presentResult, withoutHttp } from './results.js';
import { Subscription } from './subscription.js';

export interface SubscriptionContext extends Context {
  /** Where results are to be pushed; undefined: they are pulled. */
  sink?: Sink;
  /** Called once when the subscription is over, however that came. */
  onOver?: () => void;
}

export interface SubscriptionArgs extends ExecutionArgs {
  contextValue: SubscriptionContext;
}

export type Cohorts = ReturnType<typeof createCohorts>;

export function createCohorts({ bus, log }: { bus: EventBus; log: Logger }) {
  const cohorts = new Map<string, EventCohort | LatestCohort>();

  function open(key: string, source: Source, args: SubscriptionArgs): EventCohort | LatestCohort {
    const render = renderer(args, log);
    const close = () => cohorts.delete(key);
    const cohort =
      source.kind === 'events' ? new EventCohort(source, bus, render, close) : new LatestCohort(source, render, close);
    cohorts.set(key, cohort);
    return cohort;
  }

  return {
    /** How many different subscriptions are being followed. */
    get size() {
      return cohorts.size;
    },

    /** Executes a subscription: authorization and arguments on its own, everything after together with its like. */
    async subscribe(args: SubscriptionArgs): Promise<ExecutionResult | Subscription> {
      const stream = await createSourceEventStream(args);
      if (!(stream instanceof Stream)) return stream as ExecutionResult;
      const source: Source = stream.source;
      const { sink, onOver, requestId, viewer, ending } = args.contextValue;
      const key = keyOf(args, viewer as Viewer);
      const subscription = new Subscription({
        join(joining) {
          const cohort = cohorts.get(key) ?? open(key, source, args);
          return cohort.join(joining, source.kind === 'events' ? source.after : null);
        },
        sink,
        onOver,
        present: (error) => presentError(error, requestId, log),
      });
      const end = () => {
        const { reason } = ending.signal;
        subscription.end(reason instanceof Error && reason.name !== 'AbortError' ? reason : undefined);
      };
      if (ending.signal.aborted) end();
      else ending.signal.addEventListener('abort', end, { once: true });
      return subscription;
    },
  };
}

/** Executes for everybody in the name of the first: the others have the same rights, or they would be another cohort. */
function renderer(args: SubscriptionArgs, log: Logger): Render {
  const { schema, document, operationName, variableValues, contextValue } = args;
  const { services, database, viewer } = contextValue;
  const shared = { services, database, viewer, ending: new AbortController() };
  return (value) => {
    const requestId = randomUUID();
    const presenter = { requestId, log };
    try {
      const context: Context = { ...shared, requestId };
      const result = execute({
        ...{ schema, document, operationName, variableValues },
        rootValue: value,
        contextValue: context,
      });
      return result instanceof Promise
        ? result.then((executed) => serialize(executed, presenter))
        : serialize(result as ExecutionResult, presenter);
    } catch (error) {
      return serialize({ data: null, errors: [presentError(error, requestId, log)] }, presenter);
    }
  };
}

const serialize = (result: ExecutionResult, presenter: Presenter): Buffer =>
  Buffer.from(JSON.stringify(withoutHttp(presentResult(result, presenter))));

interface DocumentKey {
  text: string;
  /** The variable that only says where this subscriber goes on; it makes no difference to what is told from there. */
  cursorVariable: string | undefined;
}

/** Documents are cached by their text, so that the same one is the same object. */
const documentKeys = new WeakMap<DocumentNode, Map<string, DocumentKey>>();

function keyOf({ document, operationName, variableValues }: SubscriptionArgs, viewer: Viewer): string {
  const { text, cursorVariable } = documentKeyOf(document, operationName ?? '');
  const variables = Object.entries(variableValues ?? {})
    .filter(([name]) => name !== cursorVariable)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const { projectId } = viewer;
  const rights = [viewer.kind, projectId, ownOf(viewer), ...[...viewer.scopes].sort()];
  return JSON.stringify([rights, operationName, variables, text]);
}

/** What the viewer is confined to. All holders of tokens of a room see the same, whatever they may do. */
function ownOf(viewer: Viewer): string {
  switch (viewer.kind) {
    case 'key':
      return '';
    case 'job':
      return viewer.jobId;
    case 'room':
      return viewer.roomId;
  }
}

function documentKeyOf(document: DocumentNode, operationName: string): DocumentKey {
  const known = documentKeys.get(document) ?? new Map<string, DocumentKey>();
  documentKeys.set(document, known);
  const key = known.get(operationName) ?? {
    text: print(document),
    cursorVariable: cursorVariableOf(document, operationName),
  };
  known.set(operationName, key);
  return key;
}

function cursorVariableOf(document: DocumentNode, operationName: string): string | undefined {
  const operation = getOperationAST(document, operationName || undefined);
  const field = operation?.selectionSet.selections.find(({ kind }) => kind === Kind.FIELD);
  if (field?.kind !== Kind.FIELD) return undefined;
  const value = field.arguments?.find(({ name }) => name.value === 'after')?.value;
  if (value?.kind !== Kind.VARIABLE) return undefined;
  const name = value.name.value;
  let uses = 0;
  visit(document, {
    VariableDefinition: () => false,
    Variable: (variable) => {
      if (variable.name.value === name) uses++;
    },
  });
  return uses === 1 ? name : undefined;
}

/** How the stream of a document is resumed: found in the document itself. */
import { type DocumentNode, type FieldNode, Kind, type SelectionSetNode } from 'graphql';

/** What every event has. `cursor` is opaque; keep the last one to go on from there after a restart of your own program. */
export interface AnyEvent {
  __typename: string;
  cursor: string;
}

export interface Resumption {
  /** Name in the result of the one root field. */
  field: string;
  /** Name of the variable that is given to its argument `after`. */
  variable: string;
}

/** Throws TypeError when a stream of that document could not be resumed, or its items not told apart. */
export function resumptionOf(document: DocumentNode): Resumption {
  const field = rootFieldOf(document);
  const name = field.name.value;
  const after = field.arguments?.find((argument) => argument.name.value === 'after')?.value;
  if (after?.kind !== Kind.VARIABLE) {
    throw new TypeError(
      `The document gives ${name} no variable as \`after\`, so its stream could not be resumed. Declare \`$after: Cursor\` and write \`${name}(after: $after, …)\`; for a field without \`after\` use \`latest\`.`,
    );
  }
  for (const wanted of ['cursor', '__typename']) {
    if (field.selectionSet && selects(field.selectionSet, wanted, document)) continue;
    throw new TypeError(
      `The document does not select \`${wanted}\` of ${name}, which is needed to resume its stream. Write \`${name}(…) { __typename cursor … }\`, without an alias.`,
    );
  }
  return { field: field.alias?.value ?? name, variable: after.name.value };
}

/** The one root field of a subscription. Throws TypeError for anything else. */
export function rootFieldOf(document: DocumentNode): FieldNode {
  const operations = document.definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  const [operation] = operations;
  const selections = operation?.selectionSet.selections ?? [];
  const [field] = selections;
  if (
    operations.length !== 1 ||
    operation?.operation !== 'subscription' ||
    selections.length !== 1 ||
    field?.kind !== Kind.FIELD
  ) {
    throw new TypeError('The document is not one subscription of one field, which is what can be followed.');
  }
  return field;
}

/** Whether a field is selected under its own name, for every type or for some. */
function selects(selectionSet: SelectionSetNode, name: string, document: DocumentNode): boolean {
  return selectionSet.selections.some((selection) => {
    if (selection.kind === Kind.FIELD) return selection.name.value === name && !selection.alias;
    if (selection.kind === Kind.INLINE_FRAGMENT) return selects(selection.selectionSet, name, document);
    const fragment = document.definitions.find(
      (definition) => definition.kind === Kind.FRAGMENT_DEFINITION && definition.name.value === selection.name.value,
    );
    return fragment?.kind === Kind.FRAGMENT_DEFINITION && selects(fragment.selectionSet, name, document);
  });
}

/**
 * Brings a set up to the present description of its kind: who owned parts of what is now atomic owns it as a whole
 * (structured-merge-diff `typed/reconcile_schema.go`).
 */
import { type Atom, memberAtom } from "./atom.ts";
import { type FieldNode, type FieldSet, NO_FIELDS } from "./field_set.ts";

/** The set as the description has it; the same set when it already fits. */
export function reconcileFields(set: FieldSet, atom: Atom): FieldSet {
  let changed: Map<string, FieldNode> | undefined;
  for (const [element, node] of set) {
    if (node.children.size === 0) continue;
    const type = atomBelow(atom, element);
    if (type === undefined) continue;
    const next = isAtomic(type) ? NO_FIELDS : reconcileFields(node.children, type);
    if (next === node.children) continue;
    changed ??= new Map(set);
    changed.set(element, { isMember: node.isMember || next.size === 0, children: next });
  }
  return changed ?? set;
}

function atomBelow(atom: Atom, element: string): Atom | undefined {
  switch (atom.kind) {
    case "list":
      return atom.of;
    case "map":
    case "struct":
      return memberAtom(atom, element.slice(2));
    default:
      return undefined;
  }
}

function isAtomic(atom: Atom): boolean {
  return atom.kind === "list"
    ? atom.relation === "atomic"
    : (atom.kind === "map" || atom.kind === "struct") && atom.isAtomic;
}

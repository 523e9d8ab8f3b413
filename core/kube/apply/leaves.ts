/** The fields that a configuration sets (structured-merge-diff `typed/tofieldset.go`). */
import { isEmptyMap, isJsonObject } from "../json_value.ts";
import { type AssociativeList, type Atom, findMemberAtom, type Members } from "./atom.ts";
import { type FieldSet, type FieldSetBuilder, insertPath } from "./field_set.ts";
import { getItemElement } from "./list_item.ts";
import { fieldElement } from "./path_element.ts";

/** Collects every leaf and every item of a value that fits its type, without those at or below `ignored`. */
export function collectLeaves(value: unknown, atom: Atom, ignored?: FieldSet): FieldSet {
  const walk = new Walk();
  walk.visit(value, atom, ignored);
  return walk.set;
}

class Walk {
  readonly set: FieldSetBuilder = new Map();
  readonly #path: string[] = [];

  visit(value: unknown, atom: Atom, ignored: FieldSet | undefined): void {
    switch (atom.kind) {
      case "scalar":
      case "any":
        return this.#insert();
      case "list":
        if (atom.relation === "atomic") return this.#insert();
        if (Array.isArray(value)) this.#items(value, atom);
        return;
      default:
        if (atom.isAtomic) return this.#insert();
        if (isJsonObject(value)) this.#members(value, atom, ignored);
    }
  }

  #members(value: object, atom: Members, ignored?: FieldSet): void {
    for (const [name, member] of Object.entries(value)) {
      const element = fieldElement(name);
      const type = findMemberAtom(atom, name);
      const skipped = ignored?.get(element);
      if (type === undefined || skipped?.isMember === true) continue;
      this.#path.push(element);
      this.visit(member, type, skipped?.children);
      // Entries of maps are owned in addition to their contents, fields of structs only if they are empty.
      if (atom.kind === "map" || member === null || (isJsonObject(member) && isEmptyMap(member))) this.#insert();
      this.#path.pop();
    }
  }

  #items(items: readonly unknown[], list: AssociativeList): void {
    const elements = items.map((item) => getElement(list, item));
    const seen = new Set<string>();
    const repeated = new Set<string>();
    for (const element of elements) {
      if (seen.has(element)) repeated.add(element);
      seen.add(element);
    }
    items.forEach((item, index) => {
      this.#path.push(elements[index]!);
      // Items with the same identity are only owned as a whole.
      if (!repeated.has(elements[index]!)) this.visit(item, list.of, undefined);
      this.#insert();
      this.#path.pop();
    });
  }

  #insert(): void {
    insertPath(this.set, this.#path);
  }
}

function getElement(list: AssociativeList, item: unknown): string {
  const element = getItemElement(list, item);
  // Items without an element cannot be owned; a valid value has none.
  return element.ok ? element.value : "v:null";
}

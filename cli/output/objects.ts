/** Formats whole objects as json, yaml, name or jsonpath. Several objects become a List, as in kubectl. */
import type { KubeObject } from "../../core/kube/meta.ts";
import { line } from "../../core/lib/printable.ts";
import { formatJson, formatSortedYaml } from "./structured.ts";
import { evaluateJsonPath, parseJsonPath } from "./jsonpath.ts";
import type { OutputFormat } from "../flags/list.ts";

/** A format that prints objects rather than table rows. */
export type ObjectFormat = Exclude<OutputFormat, { readonly kind: "wide" }>;

/** Formats a single object, or the objects of a list. */
interface ObjectPrinter {
  printOne(object: KubeObject): string;
  printList(objects: readonly KubeObject[]): string;
  /** Starts a list that is printed in parts as its objects arrive. Together they are the text of `printList`. */
  startList(): ListPrinter;
}

interface ListPrinter {
  printItems(objects: readonly KubeObject[]): string;
  printEnd(): string;
}

/** Creates a printer. Throws UsageError for an invalid jsonpath template. */
export function createObjectPrinter(format: ObjectFormat, qualifiedKind: string): ObjectPrinter {
  switch (format.kind) {
    case "name": {
      // `line` escapes line breaks, which a program such as xargs would read as the end of a name.
      const printOne = (object: KubeObject): string => line`${qualifiedKind}/${object.metadata.name ?? ""}\n`;
      const printList = (objects: readonly KubeObject[]): string => objects.map(printOne).join("");
      return { printOne, printList, startList: () => ({ printItems: printList, printEnd: () => "" }) };
    }
    case "json":
      return { ...valuePrinter(formatJson), startList: () => startTextList(formatJson, JSON_LIST) };
    case "yaml":
      return { ...valuePrinter(formatSortedYaml), startList: () => startTextList(formatSortedYaml, YAML_LIST) };
    case "jsonpath": {
      const template = parseJsonPath(format.template);
      return valuePrinter((value) => evaluateJsonPath(template, value));
    }
  }
}

/** Creates a printer that omits managedFields, as kubectl does. It prints lists when they end. */
function valuePrinter(print: (value: unknown) => string): ObjectPrinter {
  const printList = (objects: readonly KubeObject[]): string => print(createList(objects));
  return {
    printOne: (object) => print(withoutManagedFields(object)),
    printList,
    startList() {
      const all: KubeObject[] = [];
      return {
        printItems(objects) {
          all.push(...objects);
          return "";
        },
        printEnd: () => printList(all),
      };
    },
  };
}

function createList(objects: readonly KubeObject[]): object {
  return {
    apiVersion: "v1",
    items: objects.map(withoutManagedFields),
    kind: "List",
    metadata: { resourceVersion: "" },
  };
}

/** The text before the items of a list, the text after them, and the separator of its parts. */
interface ListFrame {
  readonly beforeItems: string;
  readonly afterItems: string;
  readonly between: string;
}

const JSON_LIST: ListFrame = { beforeItems: "[\n", afterItems: '\n    ],\n    "kind": "List"', between: ",\n" };
const YAML_LIST: ListFrame = { beforeItems: "items:\n", afterItems: "kind: List\n", between: "" };

/** Prints a list in parts. Each part is formatted as a list; the text around the items is printed only once. */
function startTextList(print: (value: unknown) => string, frame: ListFrame): ListPrinter {
  let isEmpty = true;
  let end = "";
  return {
    printItems(objects) {
      if (objects.length === 0) return "";
      const text = print(createList(objects));
      const from = text.indexOf(frame.beforeItems) + frame.beforeItems.length;
      const to = text.lastIndexOf(frame.afterItems);
      const before = isEmpty ? text.slice(0, from) : frame.between;
      isEmpty = false;
      end = text.slice(to);
      return before + text.slice(from, to);
    },
    printEnd: () => isEmpty ? print(createList([])) : end,
  };
}

function withoutManagedFields(object: KubeObject): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

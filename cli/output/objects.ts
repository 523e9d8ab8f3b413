/** Prints whole objects as json, yaml, name or jsonpath. Several objects become a List, as in kubectl. */
import type { KubeObject } from "../../core/kube/meta.ts";
import { line } from "./escape.ts";
import type { OutputFormat } from "./format.ts";
import { formatJson, formatSortedYaml } from "./structured.ts";
import { evaluateJsonPath, parseJsonPath } from "./jsonpath.ts";

/** A format that prints objects rather than table rows. */
export type ObjectFormat = Exclude<OutputFormat, { readonly kind: "wide" }>;

/** Prints a single object, or the objects of a list or of several names. */
export interface ObjectPrinter {
  printOne(object: KubeObject): string;
  printList(objects: readonly KubeObject[]): string;
}

/** Creates a printer. Throws UsageError for an invalid jsonpath template. */
export function createObjectPrinter(format: ObjectFormat, qualifiedKind: string): ObjectPrinter {
  switch (format.kind) {
    case "name": {
      // A line break in a name would look like another name to a program such as xargs.
      const printOne = (object: KubeObject): string => line`${qualifiedKind}/${object.metadata.name ?? ""}\n`;
      return { printOne, printList: (objects) => objects.map(printOne).join("") };
    }
    case "json":
      return valuePrinter(formatJson);
    case "yaml":
      return valuePrinter(formatSortedYaml);
    case "jsonpath": {
      const template = parseJsonPath(format.template);
      return valuePrinter((value) => evaluateJsonPath(template, value));
    }
  }
}

/** Creates a printer that omits managedFields, as kubectl does. */
function valuePrinter(print: (value: unknown) => string): ObjectPrinter {
  return {
    printOne: (object) => print(withoutManagedFields(object)),
    printList: (objects) =>
      print({
        apiVersion: "v1",
        items: objects.map(withoutManagedFields),
        kind: "List",
        metadata: { resourceVersion: "" },
      }),
  };
}

function withoutManagedFields(object: KubeObject): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

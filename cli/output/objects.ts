/** Whole objects on stdout: json, yaml, name, jsonpath; one object as it is, several as a List, as kubectl does. */
import { formatYaml } from "../../core/kube/codec/yaml.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { line } from "./escape.ts";
import type { OutputFormat } from "./format.ts";
import { formatJson, sortKeys } from "./json.ts";
import { evaluateJsonPath, parseJsonPath } from "./jsonpath.ts";

/** A format that shows objects rather than table rows. */
export type ObjectFormat = Exclude<OutputFormat, { readonly kind: "wide" }>;

/** Prints one answer: a single object, or what a list or several names gave. */
export interface ObjectPrinter {
  printOne(object: KubeObject): string;
  printList(objects: readonly KubeObject[]): string;
}

/** Makes a printer. Throws UsageError for a jsonpath template that cannot be read. */
export function createObjectPrinter(format: ObjectFormat, qualifiedKind: string): ObjectPrinter {
  switch (format.kind) {
    case "name": {
      // A line break in a name would be another name to whoever reads on, such as xargs.
      const printOne = (object: KubeObject): string => line`${qualifiedKind}/${object.metadata.name ?? ""}\n`;
      return { printOne, printList: (objects) => objects.map(printOne).join("") };
    }
    case "json":
      return valuePrinter(formatJson);
    case "yaml":
      return valuePrinter((value) => formatYaml(sortKeys(value)));
    case "jsonpath": {
      const template = parseJsonPath(format.template);
      return valuePrinter((value) => evaluateJsonPath(template, value));
    }
  }
}

/** managedFields are never shown, as in kubectl. */
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

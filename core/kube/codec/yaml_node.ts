/** Builds a tree from events (go-yaml v2 `decode.go`, parser). An alias points at the node that its anchor names. */
import { JsonSyntaxError } from "./errors.ts";
import { EventReader, type YamlEvent } from "./yaml_events.ts";
import type { YamlSource } from "./yaml_source.ts";
import type { ElementBudget } from "./element_budget.ts";

/** A scalar: its text and its tag. */
export interface ScalarNode {
  readonly kind: "scalar";
  readonly line: number;
  readonly tag: string;
  readonly text: string;
  readonly isImplicit: boolean;
}

/** A list, or a mapping whose children are keys and values in turn. */
export interface CollectionNode {
  readonly kind: "sequence" | "mapping";
  readonly line: number;
  readonly children: YamlNode[];
}

/** A reference to another node. */
export interface AliasNode {
  readonly kind: "alias";
  readonly line: number;
  readonly name: string;
  readonly target: YamlNode;
}

/** A node of any kind. */
export type YamlNode = ScalarNode | CollectionNode | AliasNode;

/** Builds the tree of the first document and returns its root; undefined if there is no document. */
export function readYamlTree(source: YamlSource, budget: ElementBudget): YamlNode | undefined {
  const reader = new EventReader(source);
  const anchors = new Map<string, YamlNode>();
  const open: CollectionNode[] = [];
  for (let event = reader.first(); event !== undefined; event = reader.next()) {
    let node: YamlNode | undefined;
    if (event.kind === "end") node = open.pop();
    else {
      node = createNode(event, anchors);
      const parent = open.at(-1);
      parent?.children.push(node);
      // In a mapping, every second child is a key.
      if (parent?.kind === "sequence" || (parent !== undefined && parent.children.length % 2 === 0)) budget.add();
      if (node.kind === "sequence" || node.kind === "mapping") {
        open.push(node);
        continue;
      }
    }
    if (open.length > 0) continue;
    reader.finish();
    return node;
  }
  return undefined;
}

function createNode(event: Exclude<YamlEvent, { kind: "end" }>, anchors: Map<string, YamlNode>): YamlNode {
  const { line, anchor } = event;
  if (event.kind === "alias") {
    const target = anchors.get(anchor);
    if (target === undefined) throw new JsonSyntaxError(`yaml: unknown anchor '${anchor}' referenced`);
    return { kind: "alias", line, name: anchor, target };
  }
  const node: YamlNode = event.kind === "scalar"
    ? { kind: "scalar", line, tag: event.tag, text: event.text, isImplicit: event.isImplicit }
    : { kind: event.kind, line, children: [] };
  if (anchor !== "") anchors.set(anchor, node);
  return node;
}

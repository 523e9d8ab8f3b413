/** Changes encodings that are trees of values. All enclosing lengths stay correct. */
import { Buffer } from "node:buffer";
import type { Random } from "../../../core/ports.ts";
import { below, oneIn, pick } from "../../support/seeded_random.ts";
import type { Bytes, Target } from "../target.ts";

/** A value; `children` is undefined if its content is not a list of values. */
export interface Branch<Self> {
  readonly children: Self[] | undefined;
}

/** A value in its list, and another value of the same input. */
export interface Place<Node> {
  readonly node: Node;
  readonly list: Node[];
  readonly index: number;
  readonly other: Node;
}

interface Grammar<Node extends Branch<Node>> {
  /** Reads the values of an input; returns undefined for another grammar. */
  readonly read: (input: Bytes) => Node[] | undefined;
  readonly write: (node: Node) => Uint8Array;
  /** Creates a value that encloses another one. */
  readonly enclose: (node: Node) => Node;
  /** Creates one of many copies of a value. */
  readonly copy?: (node: Node, number: number) => Node;
  /** Changes in addition to the general ones, which remove or repeat a value. */
  readonly changes: readonly ((place: Place<Node>, random: Random) => void)[];
}

/** Deep enough to overflow any stack; building each layer copies everything inside it. */
const MAX_DEPTH = 5_000;
const MAX_COPIES = 50_000;

/** Creates the functions of a target, which return undefined for an input of another grammar. */
export function createStructure<Node extends Branch<Node>>(
  { read, write, enclose, copy = (node) => node, changes }: Grammar<Node>,
): Required<Pick<Target, "restructure" | "inflate">> {
  const allChanges: Grammar<Node>["changes"] = [
    ({ list, index }) => void list.splice(index, 1),
    ({ node, list, index }, random) => {
      for (let times = 1 + below(random, 3); times > 0; times--) list.splice(index, 0, copyTree(node));
    },
    ...changes,
  ];
  const join = (roots: readonly Node[]) => new Uint8Array(Buffer.concat(roots.map(write)));
  return {
    restructure(input, random) {
      const roots = read(input);
      if (roots === undefined || roots.length === 0) return undefined;
      for (let steps = 1 + below(random, 3); steps > 0; steps--) {
        const places = listPlaces(roots);
        if (places.length === 0) break;
        const { list, index } = pick(random, places);
        const from = pick(random, places);
        pick(random, allChanges)({ node: list[index]!, list, index, other: copyTree(from.list[from.index]!) }, random);
      }
      return join(roots);
    },
    inflate(input, random, size) {
      const roots = read(input);
      if (roots === undefined || roots.length === 0) return undefined;
      const { list, index } = pick(random, listPlaces(roots));
      const node = list[index]!;
      const times = Math.max(1, Math.floor((size - input.length) / (write(node).length + 4)));
      if (oneIn(random, 4)) {
        for (let depth = Math.min(times, MAX_DEPTH); depth > 0; depth--) list[index] = enclose(list[index]!);
      } else {
        const isNumbered = oneIn(random, 2);
        const copies = Array.from(
          { length: Math.min(times, MAX_COPIES) },
          (_, at) => isNumbered ? copy(node, at) : node,
        );
        list.splice(index, 0, ...copies);
      }
      return join(roots).subarray(0, size);
    },
  };
}

function listPlaces<Node extends Branch<Node>>(list: Node[]): { readonly list: Node[]; readonly index: number }[] {
  return list.flatMap((node, index) => [{ list, index }, ...listPlaces(node.children ?? [])]);
}

export function copyTree<Node extends Branch<Node>>(node: Node): Node {
  return { ...node, children: node.children?.map(copyTree) };
}

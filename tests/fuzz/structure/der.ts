/**
 * Changes DER within its grammar: values are removed, repeated, moved or retagged, and all enclosing lengths stay
 * correct.
 */
import { encodeValue } from "../../../core/pki/asn1/der_writer.ts";
import { below, oneIn, pick } from "../../support/seeded_random.ts";
import type { Bytes } from "../target.ts";
import { type Branch, copyTree, createStructure } from "./tree.ts";

interface Node extends Branch<Node> {
  tag: number;
  readonly content: Bytes;
}

const TAGS = [
  1,
  2,
  3,
  4,
  5,
  6,
  10,
  0x0c,
  0x12,
  0x13,
  0x14,
  0x16,
  0x17,
  0x18,
  0x1e,
  0x30,
  0x31,
  0x80,
  0x82,
  0x86,
  0x87,
  0xa0,
  0xa3,
];
const CONTENTS: readonly (readonly number[])[] = [
  [],
  [0],
  [0x80],
  [0xff],
  [0, 0],
  [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0x55, 0x1d, 0x11],
  [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 0x0e],
  [127, 0, 0, 1],
];

export const DER: ReturnType<typeof createStructure> = createStructure<Node>({
  read: (input) => readAll(input, 0),
  write,
  enclose: (node) => ({ ...node, content: write(node), children: undefined }),
  copy: numbered,
  changes: [
    ({ list, index, other }) => void (list[index] = other),
    ({ node }, random) => void (node.tag = pick(random, TAGS)),
    ({ node, list, index }, random) => void (list[index] = toLeaf(node.tag, pick(random, CONTENTS))),
    ({ node, list, index }, random) => {
      list[index] = { tag: pick(random, TAGS), content: node.content, children: [copyTree(node)] };
    },
    ({ node, list, index }, random) => {
      const content = write(node).slice(node.content.length > 127 ? 4 : 2);
      if (content.length > 0) content[below(random, content.length)] = below(random, 256);
      list[index] = toLeaf(node.tag, content);
    },
    ({ list, index }, random) => {
      list.splice(index, 0, toLeaf(pick(random, TAGS), random.bytes(below(random, 9))));
      if (oneIn(random, 2)) list.reverse();
    },
  ],
});

function toLeaf(tag: number, content: Iterable<number>): Node {
  return { tag, content: Uint8Array.from(content), children: undefined };
}

/** Returns the node with a number appended to its first value. */
function numbered(node: Node, number: number): Node {
  if (node.children !== undefined && node.children.length > 0) {
    return { ...node, children: node.children.map((child, at) => at === 0 ? numbered(child, number) : child) };
  }
  const digits = [number >> 14, (number >> 7) & 0x7f, number & 0x7f].map((digit, at) => digit | (at < 2 ? 0x80 : 0));
  return { ...node, content: new Uint8Array([...node.content, ...digits]) };
}

function write(node: Node): Bytes {
  return encodeValue(node.tag, ...(node.children === undefined ? [node.content] : node.children.map(write)));
}

function readAll(bytes: Bytes, depth: number): Node[] | undefined {
  const nodes: Node[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at]!;
    let length = bytes[at + 1];
    if (length === undefined || (tag & 0x1f) === 0x1f) return undefined;
    at += 2;
    if (length > 0x84 || length === 0x80) return undefined;
    if (length > 0x80) {
      const count = length & 0x7f;
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + (bytes[at++] ?? 0);
    }
    if (at + length > bytes.length) return undefined;
    const content = bytes.slice(at, at + length);
    at += length;
    nodes.push({ tag, content, children: depth < 12 && length > 1 ? parseNodes(tag, content, depth) : undefined });
  }
  return nodes;
}

/** Parses the values in a node's content. Strings are parsed too, because they contain extensions. */
function parseNodes(tag: number, content: Bytes, depth: number): Node[] | undefined {
  if ((tag & 0x20) !== 0 || tag === 4) return readAll(content, depth + 1);
  return undefined;
}

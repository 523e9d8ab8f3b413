/** Changes DER as DER: values are removed, repeated, moved or retagged, and every length around them stays right. */
import { Buffer } from "node:buffer";
import { encodeValue } from "../../../core/pki/der_writer.ts";
import type { Random } from "../../../core/ports.ts";
import { below, oneIn, pick } from "../dice.ts";
import type { Bytes } from "../target.ts";

interface Node {
  tag: number;
  content: Bytes;
  /** Undefined for a value whose content is not read as values. */
  children: Node[] | undefined;
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

/** The input with one value changed; undefined when it is no DER. */
export function restructureDer(input: Bytes, random: Random): Bytes | undefined {
  const roots = readAll(input, 0);
  if (roots === undefined || roots.length === 0) return undefined;
  const root: Node = { tag: 0, content: input, children: roots };
  for (let steps = 1 + below(random, 3); steps > 0; steps--) change(root, random);
  return new Uint8Array(Buffer.concat((root.children ?? []).map(write)));
}

/**
 * The input with one value repeated up to a size, each with another end; or enclosed in itself. Undefined
 * when it is no DER.
 */
export function inflateDer(input: Bytes, random: Random, size: number): Bytes | undefined {
  const roots = readAll(input, 0);
  if (roots === undefined || roots.length === 0) return undefined;
  const lists: Node[][] = [];
  const collect = (list: Node[]): void => {
    lists.push(list);
    for (const { children } of list) if (children !== undefined && children.length > 0) collect(children);
  };
  collect(roots);
  const list = pick(random, lists);
  const index = below(random, list.length);
  const node = list[index]!;
  const length = write(node).length + 4;
  const times = Math.max(1, Math.floor((size - input.length) / length));
  if (oneIn(random, 4)) {
    // Deep enough for any stack; every layer costs its length again while it is made.
    let inner = node;
    for (let depth = Math.min(times, 5000); depth > 0; depth--) {
      inner = { ...node, content: write(inner), children: undefined };
    }
    list[index] = inner;
  } else {
    const isNumbered = oneIn(random, 2);
    const copies = Array.from({ length: times }, (_, at) => isNumbered ? numbered(node, at) : node);
    list.splice(index, 0, ...copies.slice(0, 50_000));
  }
  return new Uint8Array(Buffer.concat(roots.map(write))).subarray(0, size);
}

/** Returns the node with a number at the end of its first value. */
function numbered(node: Node, number: number): Node {
  if (node.children !== undefined && node.children.length > 0) {
    return { ...node, children: node.children.map((child, at) => at === 0 ? numbered(child, number) : child) };
  }
  const digits = [number >> 14, (number >> 7) & 0x7f, number & 0x7f].map((digit, at) => digit | (at < 2 ? 0x80 : 0));
  return { ...node, content: new Uint8Array([...node.content, ...digits]) };
}

function change(root: Node, random: Random): void {
  const places: { readonly list: Node[]; readonly index: number }[] = [];
  const collect = (list: Node[]): void =>
    list.forEach((node, index) => {
      places.push({ list, index });
      if (node.children !== undefined) collect(node.children);
    });
  collect(root.children ?? []);
  if (places.length === 0) return;
  const { list, index } = pick(random, places);
  const node = list[index]!;
  const other = pick(random, places);
  switch (below(random, 8)) {
    case 0:
      list.splice(index, 1);
      break;
    case 1:
      for (let times = 1 + below(random, 3); times > 0; times--) list.splice(index, 0, copyNode(node));
      break;
    case 2:
      list[index] = copyNode(other.list[other.index]!);
      break;
    case 3:
      node.tag = pick(random, TAGS);
      break;
    case 4:
      node.children = undefined;
      node.content = Uint8Array.from(pick(random, CONTENTS));
      break;
    case 5:
      list[index] = { tag: pick(random, TAGS), content: node.content, children: [copyNode(node)] };
      break;
    case 6: {
      const content = Uint8Array.from(write(node).subarray(node.content.length > 127 ? 4 : 2));
      if (content.length > 0) content[below(random, content.length)] = below(random, 256);
      node.children = undefined;
      node.content = content;
      break;
    }
    default:
      list.splice(index, 0, {
        tag: pick(random, TAGS),
        content: new Uint8Array(random.bytes(below(random, 9))),
        children: undefined,
      });
      if (oneIn(random, 2)) list.reverse();
  }
}

function copyNode(node: Node): Node {
  return { ...node, children: node.children?.map(copyNode) };
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

/** Strings are parsed as well, because they contain extensions. */
function parseNodes(tag: number, content: Bytes, depth: number): Node[] | undefined {
  if ((tag & 0x20) !== 0 || tag === 4) return readAll(content, depth + 1);
  return undefined;
}

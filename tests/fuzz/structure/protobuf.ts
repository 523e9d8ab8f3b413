/**
 * Changes protobuf within its grammar: fields are removed, repeated, renumbered or moved, and all lengths stay correct.
 */
import { Buffer } from "node:buffer";
import { below, pick } from "../../support/seeded_random.ts";
import { type Bytes, encodeText } from "../target.ts";
import { type Branch, copyTree, createStructure } from "./tree.ts";

interface Field extends Branch<Field> {
  number: number;
  readonly wireType: number;
  readonly value: Bytes;
}

const VARINTS: readonly (readonly number[])[] = [
  [0],
  [1],
  [0x7f],
  [0x80, 0x00],
  [0xff, 0xff, 0xff, 0xff, 0x07],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
];
const TEXTS = ["", "\u0000", "{", "{}", '{"f:a":{}}', "100Mi", "1e9999999999", "a=b", "\ufffd"];

export const PROTOBUF: ReturnType<typeof createStructure> = createStructure<Field>({
  read: (input) => readFields(input, 0),
  write,
  enclose: (field) => ({ ...field, wireType: 2, value: new Uint8Array(write(field)), children: undefined }),
  changes: [
    ({ node, list, index, other }) => void (list[index] = { ...other, number: node.number }),
    ({ node }, random) => void (node.number = 1 + below(random, 24)),
    ({ node, list, index }, random) => {
      const value = node.wireType === 0 ? Uint8Array.from(pick(random, VARINTS)) : encodeText(pick(random, TEXTS));
      list[index] = { ...node, value, children: undefined };
    },
    ({ node, list, index }, random) => {
      list[index] = { number: 1 + below(random, 12), wireType: 2, value: node.value, children: [copyTree(node)] };
    },
    ({ list, other }) => void list.push(other),
  ],
});

function write({ number, wireType, value, children }: Field): Buffer {
  const body = children === undefined ? value : Buffer.concat(children.map(write));
  const length = wireType === 2 ? [varint(body.length)] : [];
  return Buffer.concat([varint(number * 8 + wireType), ...length, body]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 128);
  }
  return Buffer.from([...bytes, rest]);
}

function readFields(bytes: Bytes, depth: number): Field[] | undefined {
  const fields: Field[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = readVarint(bytes, at);
    if (tag === undefined || tag.value < 8) return undefined;
    const [number, wireType] = [Math.floor(tag.value / 8), tag.value % 8];
    at = tag.end;
    const read = readVarint(bytes, at);
    if (read === undefined || (wireType !== 0 && wireType !== 2)) return undefined;
    const [start, end] = wireType === 0 ? [at, read.end] : [read.end, read.end + read.value];
    if (end > bytes.length) return undefined;
    const value = bytes.slice(start, end);
    fields.push({
      number,
      wireType,
      value,
      children: wireType === 2 && depth < 12 ? parseFields(value, depth) : undefined,
    });
    at = end;
  }
  return fields;
}

/** Parses a value as a message. Text may also parse as a message, which does no harm. */
function parseFields(value: Bytes, depth: number): Field[] | undefined {
  return value.length < 2 ? undefined : readFields(value, depth + 1);
}

function readVarint(bytes: Bytes, start: number): { readonly value: number; readonly end: number } | undefined {
  let value = 0;
  for (let at = start; at < Math.min(bytes.length, start + 5); at++) {
    value += (bytes[at]! & 0x7f) * 128 ** (at - start);
    if (bytes[at]! < 128) return { value, end: at + 1 };
  }
  return undefined;
}

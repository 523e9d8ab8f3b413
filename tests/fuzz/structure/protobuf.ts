/** Changes protobuf as protobuf: fields are removed, repeated, renumbered or moved, and every length stays right. */
import { Buffer } from "node:buffer";
import type { Random } from "../../../core/ports.ts";
import { below, oneIn, pick } from "../dice.ts";
import { type Bytes, encodeText } from "../target.ts";

interface Field {
  number: number;
  wireType: number;
  value: Bytes;
  children: Field[] | undefined;
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

/** The input with one field changed; undefined when it is no protobuf. */
export function restructureProtobuf(input: Bytes, random: Random): Bytes | undefined {
  const fields = readFields(input, 0);
  if (fields === undefined || fields.length === 0) return undefined;
  const root: Field = { number: 0, wireType: 2, value: input, children: fields };
  for (let steps = 1 + below(random, 3); steps > 0; steps--) change(root, random);
  return new Uint8Array(Buffer.concat((root.children ?? []).map(write)));
}

/** The input with one field repeated up to a size, or enclosed in itself; undefined when it is not protobuf. */
export function inflateProtobuf(input: Bytes, random: Random, size: number): Bytes | undefined {
  const fields = readFields(input, 0);
  if (fields === undefined || fields.length === 0) return undefined;
  const lists: Field[][] = [];
  const collect = (list: Field[]): void => {
    lists.push(list);
    for (const { children } of list) if (children !== undefined && children.length > 0) collect(children);
  };
  collect(fields);
  const list = pick(random, lists);
  const index = below(random, list.length);
  const field = list[index]!;
  const times = Math.floor((size - input.length) / (write(field).length + 4));
  if (oneIn(random, 4)) {
    let inner = field;
    for (let depth = Math.min(times, 5000); depth > 0; depth--) {
      inner = { ...field, wireType: 2, value: new Uint8Array(write(inner)), children: undefined };
    }
    list[index] = inner;
  } else list.splice(index, 0, ...Array.from({ length: Math.min(Math.max(times, 1), 50_000) }, () => field));
  return new Uint8Array(Buffer.concat(fields.map(write))).subarray(0, size);
}

function change(root: Field, random: Random): void {
  const places: { readonly list: Field[]; readonly index: number }[] = [];
  const collect = (list: Field[]): void =>
    list.forEach((field, index) => {
      places.push({ list, index });
      if (field.children !== undefined) collect(field.children);
    });
  collect(root.children ?? []);
  if (places.length === 0) return;
  const { list, index } = pick(random, places);
  const field = list[index]!;
  const other = pick(random, places);
  switch (below(random, 7)) {
    case 0:
      list.splice(index, 1);
      break;
    case 1:
      for (let times = 1 + below(random, 3); times > 0; times--) list.splice(index, 0, copyField(field));
      break;
    case 2:
      list[index] = { ...copyField(other.list[other.index]!), number: field.number };
      break;
    case 3:
      field.number = 1 + below(random, 24);
      break;
    case 4:
      field.children = undefined;
      field.value = field.wireType === 0 ? Uint8Array.from(pick(random, VARINTS)) : encodeText(pick(random, TEXTS));
      break;
    case 5:
      list[index] = { number: 1 + below(random, 12), wireType: 2, value: field.value, children: [copyField(field)] };
      break;
    default:
      list.push(copyField(other.list[other.index]!));
  }
}

function copyField(field: Field): Field {
  return { ...field, children: field.children?.map(copyField) };
}

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

/** Text may also parse as a message, which does no harm. */
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

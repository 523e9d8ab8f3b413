/** Creates new inputs from old ones: flips, removes, duplicates and splices bytes, and repeats pieces up to a limit. */
import { Buffer } from "node:buffer";
import type { Random } from "../../core/ports.ts";
import { shrink } from "../support/shrink.ts";
import { below, mostlySmall, oneIn, pick } from "../support/seeded_random.ts";
import { type Bytes, encodeText } from "./target.ts";

export interface Pool {
  readonly random: Random;
  /** The inputs from which new ones are made. */
  readonly inputs: readonly Bytes[];
  /** The words of the input's grammar, which mutations insert in addition to common words. */
  readonly words: readonly string[];
}

const ODD_BYTES = [0, 1, 9, 10, 13, 32, 0x22, 0x27, 0x2c, 0x2f, 0x5c, 0x7f, 0x80, 0xc0, 0xe2, 0xed, 0xf4, 0xfe, 0xff];
const ODD_NUMBERS = [
  "0",
  "-1",
  "00",
  "2147483648",
  "9007199254740993",
  "9223372036854775808",
  "-9223372036854775809",
  "1e400",
  "1.0",
  "99999999999999999999999",
];
const SMALL = 4096;

/** Property names that every object inherits, which no lookup may find. */
const INHERITED_NAMES = ["constructor", "__proto__", "toString", "valueOf", "hasOwnProperty"];
/** Words of many grammars, inserted into the inputs of all targets. */
const COMMON_WORDS: readonly string[] = [
  ...INHERITED_NAMES,
  ...["\n", "\r\n", "\r", " ", "\t", "\u0000", "\ufeff", "\u0085", "\u2028", "é"],
  ...Array.from(",;:=!/\\\"'`#?&%*+-_.~@<>()[]{}"),
  ...["==", "!=", "//", "..", "[[", "%00", "%ff", "%2f", "null", "true", "0", "-0", "-1", "1e9", "9223372036854775808"],
];

/** Returns an input with changes in a few places. */
export function mutate(pool: Pool, input: Bytes, maxBytes: number): Bytes {
  let out = input;
  for (let steps = 1 + below(pool.random, 5); steps > 0; steps--) out = mutateOnce(pool, out);
  return out.length > maxBytes ? out.subarray(0, maxBytes) : out;
}

/** Returns an input that is large because one piece is repeated or nested, which exposes superlinear time. */
export function inflate(pool: Pool, input: Bytes, size: number): Bytes {
  const { random } = pool;
  const at = below(random, input.length + 1);
  const room = Math.max(0, size - input.length);
  const opening = piece(pool, input);
  const closing = oneIn(random, 2) ? piece(pool, input) : new Uint8Array(0);
  const times = Math.floor(room / Math.max(1, opening.length + closing.length));
  const middle = oneIn(random, 2) ? [repeat(opening, times), repeat(closing, times)] : [repeatNumbered(opening, times)];
  return join(input.subarray(0, at), ...middle, input.subarray(at)).subarray(0, size);
}

/** Creates an input of about a given size. */
export type Sized = (size: number) => Bytes;

/**
 * Creates inputs in which a piece of another input is repeated in place, half of the time before one of `ODD_BYTES`.
 * A reader that backtracks over the repetitions takes superlinear time.
 */
export function pump(pool: Pool, input: Bytes): Sized {
  const { random } = pool;
  const at = below(random, input.length + 1);
  const own = input.subarray(at, at + 1 + below(random, 3));
  const repeated = own.length > 0 && !oneIn(random, 4) ? own : join(word(pool), own);
  const end = oneIn(random, 2) ? Uint8Array.of(pick(random, ODD_BYTES)) : new Uint8Array(0);
  return pumped(input.subarray(0, at), repeated, join(end, input.subarray(oneIn(random, 2) ? at : input.length)));
}

/** Yields, for each byte of the inputs, a function that repeats it before a byte that no grammar expects. */
export function* pumpEach(inputs: readonly Bytes[]): Generator<Sized> {
  const end = Uint8Array.of(0x7f);
  for (const input of inputs) {
    for (const at of input.keys()) yield pumped(input.subarray(0, at), input.subarray(at, at + 1), end);
  }
}

function pumped(head: Bytes, repeated: Bytes, tail: Bytes): Sized {
  return (size) => {
    const room = Math.max(0, size - head.length - tail.length);
    return join(head, repeat(repeated, room / Math.max(1, repeated.length)), tail).subarray(0, size);
  };
}

function mutateOnce(pool: Pool, input: Bytes): Bytes {
  const { random } = pool;
  const at = below(random, input.length + 1);
  const end = Math.min(input.length, at + mostlySmall(random, input.length + 1));
  const [head, range, tail] = [input.subarray(0, at), input.subarray(at, end), input.subarray(end)];
  switch (below(random, 10)) {
    case 0:
      return join(head, Uint8Array.of((input[at] ?? 0) ^ (1 << below(random, 8))), input.subarray(at + 1));
    case 1:
      return join(head, Uint8Array.of(pick(random, ODD_BYTES)), input.subarray(at + below(random, 2)));
    case 2:
      return join(head, tail);
    case 3:
      return join(head, range, range, tail);
    case 4:
      return join(head, repeat(range, Math.min(1 + below(random, 20), SMALL / Math.max(1, range.length))), tail);
    case 5:
      return join(head, word(pool), tail);
    case 6:
      return join(head, word(pool), input.subarray(at));
    case 7:
      return withOddNumber(random, input);
    case 8: {
      const other = pick(random, pool.inputs);
      const from = below(random, other.length);
      return join(head, other.subarray(from, from + mostlySmall(random, other.length + 1)), tail);
    }
    default:
      return oneIn(random, 4) ? head : join(head, new Uint8Array(random.bytes(1 + below(random, 8))), tail);
  }
}

function word({ random, words }: Pool): Bytes {
  return encodeText(pick(random, words.length === 0 || oneIn(random, 2) ? COMMON_WORDS : words));
}

/** Returns one or more words, or a part of the input. */
function piece(pool: Pool, input: Bytes): Bytes {
  const { random } = pool;
  if (input.length === 0 || oneIn(random, 2)) {
    return join(...Array.from({ length: 1 + below(random, 3) }, () => word(pool)));
  }
  const from = below(random, input.length);
  return input.slice(from, from + 1 + mostlySmall(random, 64));
}

/** Replaces the first decimal number after a random place with one of `ODD_NUMBERS`. */
function withOddNumber(random: Random, input: Bytes): Bytes {
  let at = below(random, input.length);
  while (at < input.length && !isDigit(input[at])) at++;
  let end = at;
  while (end < input.length && isDigit(input[end])) end++;
  return join(input.subarray(0, at), encodeText(pick(random, ODD_NUMBERS)), input.subarray(end));
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 48 && byte <= 57;
}

function repeat(part: Bytes, times: number): Bytes {
  const out = new Uint8Array(part.length * Math.floor(times));
  if (part.length > 0 && out.length > 0) Buffer.from(out.buffer).fill(part);
  return out;
}

/** Repeats a part with a running number in place of its `N`, so that names differ. */
function repeatNumbered(part: Bytes, times: number): Bytes {
  const mark = part.indexOf(0x4e);
  if (mark < 0) return repeat(part, times);
  const [head, tail] = [part.subarray(0, mark), part.subarray(mark + 1)];
  const parts: Bytes[] = [];
  for (let i = 0; i < times; i++) parts.push(head, encodeText(String(i)), tail);
  return new Uint8Array(Buffer.concat(parts));
}

/** Shrinks an input as long as it fails in the same way; `isOver` reports whether the time is over. */
export function minimize(
  input: Bytes,
  isSame: (input: Bytes) => Promise<boolean>,
  isOver: () => boolean,
): Promise<Bytes> {
  return shrink(input, (whole, at, size) => join(whole.subarray(0, at), whole.subarray(at + size)), isSame, isOver);
}

export function join(...parts: readonly Uint8Array[]): Bytes {
  return new Uint8Array(Buffer.concat(parts));
}

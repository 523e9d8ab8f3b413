/** Keeps the current input in a file, because a process that hangs or dies cannot report it. */
import { Buffer } from "node:buffer";
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import type { Bytes } from "./target.ts";

/** The size of the number and the length of an input, which precede its bytes. */
const HEAD_BYTES = 16;

/** Writes each input before it is run. */
export interface Journal extends Disposable {
  write(count: number, input: Bytes): void;
}

/** An input and its number. */
export interface Entry {
  readonly count: number;
  readonly input: Bytes;
}

/** Opens the journal of a child. */
export function openJournal(path: string): Journal {
  const file = openSync(path, "w", 0o600);
  return {
    write(count, input) {
      const head = Buffer.alloc(HEAD_BYTES);
      head.writeDoubleLE(count, 0);
      head.writeDoubleLE(input.length, 8);
      writeSync(file, Buffer.concat([head, input]), 0, HEAD_BYTES + input.length, 0);
    },
    [Symbol.dispose]: () => closeSync(file),
  };
}

/** Reads the last input; returns undefined if there is none. */
export function readJournal(path: string): Entry | undefined {
  const bytes = readFileSync(path);
  if (bytes.length < HEAD_BYTES) return undefined;
  const length = bytes.readDoubleLE(8);
  return { count: bytes.readDoubleLE(0), input: new Uint8Array(bytes.subarray(HEAD_BYTES, HEAD_BYTES + length)) };
}

/** A target of the fuzzer: one decoder of foreign bytes, with its inputs and what must hold for every input. */
import type { Random } from "../../core/ports.ts";

export type Bytes = Uint8Array<ArrayBuffer>;

export interface Target {
  /** The name that `--target` takes. */
  readonly name: string;
  /** Real inputs, from which all others are made. */
  readonly seeds: readonly Bytes[];
  /** Pieces of its grammar alone, inserted and repeated. */
  readonly words: readonly string[];
  /** The most that a client can send. */
  readonly maxBytes: number;
  /** Changes an input within its own grammar; undefined where the input is too broken for that. */
  readonly restructure?: (input: Bytes, random: Random) => Bytes | undefined;
  /** Enlarges an input within its own grammar; undefined where the input is too broken for that. */
  readonly inflate?: (input: Bytes, random: Random, size: number) => Bytes | undefined;
  /**
   * Decodes one input and checks what must hold. The result names the kind of outcome: an input with a new kind is kept
   * for further mutations. Throws for a finding, whatever the error.
   */
  readonly run: (input: Bytes) => string | Promise<string>;
  /** The time that one input may take beside its size, in milliseconds; 250 when omitted. */
  readonly graceMs?: number;
  /** Ends what runs beside the target, and checks what must hold at the end. */
  readonly close?: () => Promise<void>;
}

export function encodeText(text: string): Bytes {
  return new TextEncoder().encode(text);
}

/** Decodes bytes into text like a decoder that accepts any input. */
export function decodeText(bytes: Bytes): string {
  return new TextDecoder().decode(bytes);
}

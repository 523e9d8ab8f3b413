/** What is fuzzed: one decoder of foreign bytes, with what it is fed and what must hold for every input. */
import type { Random } from "../../core/ports.ts";

/** Any bytes. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** One decoder under fire. */
export interface Target {
  /** What `--target` takes. */
  readonly name: string;
  /** Real inputs, from which all others are made. */
  readonly seeds: readonly Bytes[];
  /** Pieces of the grammar, inserted and repeated. */
  readonly words: readonly string[];
  /** The most that a client can send. */
  readonly maxBytes: number;
  /** Changes an input within its own grammar; undefined where the input is too broken for that. */
  readonly restructure?: (input: Bytes, random: Random) => Bytes | undefined;
  /** Makes an input large within its own grammar; undefined where the input is too broken for that. */
  readonly inflate?: (input: Bytes, random: Random, size: number) => Bytes | undefined;
  /**
   * Decodes one input and checks what must hold. The answer tells kinds of outcomes apart: an input with a new one is
   * kept and built upon. Throws for a finding, whatever the error.
   */
  readonly run: (input: Bytes) => string | Promise<string>;
  /** What one input may take beside its size, in milliseconds; 250 unless told otherwise. */
  readonly graceMs?: number;
  /** Ends what runs beside the target, and checks what must hold at the end. */
  readonly close?: () => Promise<void>;
}

/** Text to bytes. */
export function encodeText(text: string): Bytes {
  return new TextEncoder().encode(text);
}

/** Bytes to text, in the way of a decoder that takes what comes. */
export function decodeText(bytes: Bytes): string {
  return new TextDecoder().decode(bytes);
}

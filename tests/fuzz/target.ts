/** A target of the fuzzer: one decoder of untrusted bytes, with its seeds and the checks of every input. */
import type { Random } from "../../core/ports.ts";

export type Bytes = Uint8Array<ArrayBuffer>;

export interface Target {
  /** Real inputs, from which all others are derived. */
  readonly seeds: readonly Bytes[];
  /** Pieces of its grammar, which are inserted and repeated. */
  readonly words: readonly string[];
  /** The largest input that a client can send. */
  readonly maxBytes: number;
  /** Changes an input within its own grammar; returns undefined if the input is too broken. */
  readonly restructure?: (input: Bytes, random: Random) => Bytes | undefined;
  /** Enlarges an input within its own grammar; returns undefined if the input is too broken. */
  readonly inflate?: (input: Bytes, random: Random, size: number) => Bytes | undefined;
  /**
   * Decodes one input and checks the result. Returns the kind of outcome: an input with a new kind is kept for further
   * mutations. Any error that it throws is a finding.
   */
  readonly run: (input: Bytes) => string | Promise<string>;
  /** The milliseconds that an input may take in addition to the time for its size; 250 by default. */
  readonly graceMs?: number;
  /** Stops the target's servers, and makes the final checks. */
  readonly close?: () => Promise<void>;
}

export function encodeText(text: string): Bytes {
  return new TextEncoder().encode(text);
}

/** Decodes bytes as UTF-8, with U+FFFD for malformed sequences. */
export function decodeText(bytes: Bytes): string {
  return new TextDecoder().decode(bytes);
}

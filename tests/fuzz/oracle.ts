/** Distinguishes expected outcomes from findings, and outcomes from each other. */
import { isDeepStrictEqual } from "node:util";
import type { Result } from "../../core/lib/result.ts";
import { describeRefusal as statusRefusal } from "../support/describe_refusal.ts";

/** The outcome of a refusal; the error itself is thrown when the API would answer it with anything but a 4xx. */
export function describeRefusal(error: unknown, meant: readonly number[] = []): string {
  return toOutcome(statusRefusal(error, meant));
}

/** The outcome of a decoder that throws a refusal. */
export function attempt(decode: () => unknown): string {
  try {
    decode();
    return "ok";
  } catch (error) {
    return describeRefusal(error);
  }
}

/** The outcome of a decoder that answers with a value. */
export function resultOutcome(result: Result<unknown, string>): string {
  return result.ok ? "ok" : toOutcome(result.error);
}

/** A text without the parts that differ from input to input. */
export function toOutcome(text: string): string {
  return text.slice(0, 400).replace(/"[^"]*"|'[^']*'|[0-9]+/g, "#").slice(0, 60);
}

/** Throws unless two values are the same in depth. */
export function assertSame(actual: unknown, wanted: unknown, what: string): void {
  if (!isDeepStrictEqual(actual, wanted)) throw new Error(`${what}: ${show(actual)} is not ${show(wanted)}`);
}

/** Throws an error that says `what` unless the condition holds. */
export function assertHolds(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

function show(value: unknown): string {
  try {
    return (typeof value === "string" ? JSON.stringify(value) : String(JSON.stringify(value))).slice(0, 300);
  } catch {
    return String(value).slice(0, 300);
  }
}

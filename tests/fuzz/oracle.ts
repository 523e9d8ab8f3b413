/** Turns results and refusals into outcomes; any other error is a finding. */
import { isDeepStrictEqual } from "node:util";
import type { Result } from "../../core/lib/result.ts";
import { describeRefusal } from "../support/describe_refusal.ts";

/** Returns the outcome of a refusal. Throws the error itself if the API would not answer it with a 4xx. */
export function refusalOutcome(error: unknown, allowed: readonly number[] = []): string {
  return toOutcome(describeRefusal(error, allowed));
}

/** Returns the outcome of a decoder that throws refusals. */
export function attempt(decode: () => unknown): string {
  try {
    decode();
    return "ok";
  } catch (error) {
    return refusalOutcome(error);
  }
}

/** Returns the outcome of a decoder that returns a Result. */
export function resultOutcome(result: Result<unknown, string>): string {
  return result.ok ? "ok" : toOutcome(result.error);
}

/** Removes the parts of a text that vary between inputs. */
export function toOutcome(text: string): string {
  return text.slice(0, 400).replace(/"[^"]*"|'[^']*'|[0-9]+/g, "#").slice(0, 60);
}

/** Throws an Error unless two values are deeply equal. */
export function assertSame(actual: unknown, wanted: unknown, what: string): void {
  if (!isDeepStrictEqual(actual, wanted)) throw new Error(`${what}: ${show(actual)} is not ${show(wanted)}`);
}

/** Throws an Error with the message `what` unless the condition holds. */
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

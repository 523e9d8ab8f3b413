/** Intended differences. Each entry has one exchange, one path, both values and the reason. */
import { readFile } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import { join } from "node:path";
import { parse } from "yaml";
import type { Difference } from "./compare.ts";
import { CORPUS } from "./corpus.ts";

export interface IntendedDifference extends Difference {
  /** The id of the exchange. */
  readonly exchange: string;
  readonly reason: string;
}

const KEYS = ["exchange", "path", "kube-apiserver", "tlsboot", "reason"];

/** Reads the entries. Throws an Error for one that is not complete. */
export async function readIntendedDifferences(): Promise<readonly IntendedDifference[]> {
  return parseIntendedDifferences(await readFile(join(CORPUS, "differences.yaml"), "utf8"));
}

/** Parses the entries; `null` stands for a side without a value. */
export function parseIntendedDifferences(text: string): readonly IntendedDifference[] {
  const entries = (parse(text) ?? []) as readonly Record<string, unknown>[];
  return entries.map((entry, index) => {
    const missing = KEYS.filter((key) => !(key in entry));
    const unknown = Object.keys(entry).filter((key) => !KEYS.includes(key));
    if (missing.length + unknown.length > 0) {
      throw new Error(
        `differences.yaml: entry ${index + 1}: missing ${missing.join(", ")}; unknown ${unknown.join(", ")}`,
      );
    }
    if (String(entry["reason"]).trim() === "") throw new Error(`differences.yaml: entry ${index + 1} has no reason`);
    return entry as unknown as IntendedDifference;
  });
}

/** Reports whether an entry matches a difference: exchange, path and both values must agree. */
export function isIntended(entry: IntendedDifference, exchange: string, difference: Difference): boolean {
  return entry.exchange === exchange && entry.path === difference.path &&
    isDeepStrictEqual(entry["kube-apiserver"], difference["kube-apiserver"] ?? null) &&
    isDeepStrictEqual(entry.tlsboot, difference.tlsboot ?? null);
}

/** Finds one of the texts that the program carries by its name. */
import { findNearest } from "../../../core/lib/nearest.ts";
import { UsageError } from "../../framework/usage_error.ts";

/** The texts of a command, and how its messages name them. */
interface Texts {
  readonly texts: Readonly<Record<string, string>>;
  readonly what: string;
  readonly list: string;
}

/** Returns the text of a key. Throws UsageError with the nearest name when there is none; `name` is what was typed. */
export function findText({ texts, what, list }: Texts, key: string, name: string = key): string {
  const text = Object.hasOwn(texts, key) ? texts[key] : undefined;
  if (text !== undefined) return text;
  const nearest = findNearest(name, Object.keys(texts));
  throw new UsageError(
    `no ${what} is named "${name}"`,
    nearest === undefined ? `list them with: ${list}` : `did you mean ${nearest}?`,
  );
}

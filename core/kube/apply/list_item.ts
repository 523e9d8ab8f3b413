/** The path element of a list item (structured-merge-diff `typed/helpers.go`). */
import { goQuote } from "../../lib/quote.ts";
import { isJsonObject } from "../json_value.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import type { AssociativeList, ListKey } from "./atom.ts";
import { keyElement, valueElement } from "./path_element.ts";

/** Returns the path element that identifies an item; the error is upstream's text. */
export function getItemElement(list: AssociativeList, item: unknown): Result<string, string> {
  return list.keys.length === 0 ? setItemElement(item) : keyedItemElement(list.keys, item);
}

function keyedItemElement(keys: readonly ListKey[], item: unknown): Result<string, string> {
  if (item === null) return err("associative list with keys may not have a null element");
  if (!isJsonObject(item)) return err("associative list with keys may not have non-map elements");
  const present = keys.flatMap(({ name, default: fallback }) => {
    const value = Object.hasOwn(item, name) ? item[name] : fallback;
    return value === undefined ? [] : [[name, value] as const];
  });
  if (present.length === 0) {
    const shown = `[${keys.map(({ name }) => goQuote(name)).join(" ")}]`;
    return err(
      `associative list with keys has an element that omits all key fields ${shown} ` +
        "(and doesn't have default values for any key fields)",
    );
  }
  return ok(keyElement(present));
}

function setItemElement(item: unknown): Result<string, string> {
  if (Array.isArray(item)) return err("not supported: associative list with lists as elements");
  if (item === null) return err("associative list without keys has an element that's an explicit null");
  if (isJsonObject(item)) return err("associative list without keys has an element that's a map type");
  return ok(valueElement(item));
}

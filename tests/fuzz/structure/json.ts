/** Changes JSON within its grammar: members are removed, repeated, replaced or wrapped. */
import type { Random } from "../../../core/ports.ts";
import { below, oneIn, pick } from "../../support/seeded_random.ts";
import { type Bytes, decodeText, encodeText } from "../target.ts";

const VALUES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  1e300,
  9007199254740993,
  "",
  "a",
  "\u0000",
  "\ud800",
  "__proto__",
  "constructor",
  "2020-01-01T00:00:00Z",
  "0001-01-01T00:00:00Z",
  "100Mi",
  "AA==",
  [],
  {},
  [[]],
  [null],
  { a: null },
  { "": "" },
];
const KEYS = [
  "",
  "a",
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "0",
  "4294967295",
  "name",
  "metadata",
  "$patch",
];

/** Changes one node of an input; returns undefined if it is not JSON. */
export function restructureJson(input: Bytes, random: Random): Bytes | undefined {
  if (input.length > 65_536) return undefined;
  try {
    const root = { root: JSON.parse(decodeText(input)) as unknown };
    for (let steps = 1 + below(random, 3); steps > 0; steps--) change(root, random);
    const text = JSON.stringify(root.root);
    return text === undefined ? undefined : encodeText(text);
  } catch {
    return undefined;
  }
}

function change(root: object, random: Random): void {
  const containers: object[] = [];
  const collect = (value: unknown): void => {
    if (typeof value !== "object" || value === null || containers.length > 2000) return;
    containers.push(value);
    Object.values(value).forEach(collect);
  };
  collect(root);
  const container = pick(random, containers) as Record<string, unknown>;
  const keys = Object.keys(container);
  const key = keys.length === 0 || (container !== root && oneIn(random, 6))
    ? newKey(container, random)
    : pick(random, keys);
  const set = (name: string, value: unknown) =>
    Object.defineProperty(container, name, { value, enumerable: true, configurable: true, writable: true });
  const value = container[key];
  switch (below(random, 7)) {
    case 0:
      if (container === root) break;
      if (Array.isArray(container)) container.splice(Number(key), 1);
      else delete container[key];
      break;
    case 1:
      set(key, oneIn(random, 2) ? [value] : { [pick(random, KEYS)]: value });
      break;
    case 2:
      if (container !== root) set(newKey(container, random), structuredClone(value));
      break;
    case 3: {
      const other = pick(random, containers);
      if (other !== root) set(key, structuredClone(other));
      break;
    }
    case 4:
      set(
        key,
        typeof value === "string" ? value.slice(below(random, value.length)) + pick(random, KEYS) : String(value),
      );
      break;
    default:
      set(key, structuredClone(pick(random, VALUES)));
  }
}

function newKey(container: object, random: Random): string {
  return Array.isArray(container) ? String(container.length) : pick(random, KEYS);
}

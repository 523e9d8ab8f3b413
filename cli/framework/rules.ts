/**
 * Rules for the flags and arguments of a command, as data. They are checked before the command runs, and help, manual and
 * reference show them.
 */
import { flagName } from "./flags.ts";
import { UsageError } from "../exit_code.ts";

/**
 * A rule for items: keys of flags such as `dataDir`, or with a value such as `output=pack` if the rule is for that value
 * only, and names of arguments such as `NAME`.
 */
export type Rule<Item extends string = string> =
  & {
    /** True when variables and configuration files do not count. */
    readonly isForTyped?: boolean;
    /** What to do when the rule is broken. */
    readonly hint?: string | undefined;
  }
  & (
    /** At most one of the items may be given; exactly one when `isRequired` is set. */
    | { readonly kind: "oneOf"; readonly items: readonly Item[]; readonly isRequired: boolean }
    /** All items are given, or none. */
    | { readonly kind: "together"; readonly items: readonly Item[] }
    /** The item is given, or any of the others, but not both. */
    | { readonly kind: "excludes"; readonly item: Item; readonly others: readonly Item[] }
    /** Each of the items has no effect without one of the needed ones. */
    | { readonly kind: "needs"; readonly items: readonly Item[]; readonly needed: readonly Item[] }
  );

/** Creates a rule: the items exclude each other. */
export function atMostOneOf<const Item extends string>(...items: readonly Item[]): Rule<Item> {
  return { kind: "oneOf", items, isRequired: false };
}

/** Creates a rule: exactly one of the items must be given. */
export function exactlyOneOf<const Item extends string>(...items: readonly Item[]): Rule<Item> {
  return { kind: "oneOf", items, isRequired: true };
}

/** Creates a rule: the items are given together, or not at all. */
export function together<const Item extends string>(...items: readonly Item[]): Rule<Item> {
  return { kind: "together", items };
}

/** Creates a rule: `item` is given, or any of the others, but not both. */
export function excludes<const Item extends string>(item: Item, ...others: readonly Item[]): Rule<Item> {
  return { kind: "excludes", item, others };
}

/** Creates a rule: each of the items has no effect without one of the others. */
export function needs<const Item extends string>(
  items: Item | readonly Item[],
  ...needed: readonly Item[]
): Rule<Item> {
  return { kind: "needs", items: typeof items === "string" ? [items] : items, needed };
}

/** Limits a rule to typed flags. Variables and the configuration file are for several commands, which need not use all. */
export function whenTyped<Item extends string>(rule: Rule<Item>, hint?: string): Rule<Item> {
  return { ...rule, isForTyped: true, hint };
}

/** Lists the flags and arguments of a rule. */
export function getItems(rule: Rule): readonly string[] {
  const items = "items" in rule ? rule.items : [rule.item, ...rule.others];
  const needed = rule.kind === "needs" ? rule.needed : [];
  return [...items, ...needed].map((item) => splitItem(item).key);
}

function splitItem(item: string): { readonly key: string; readonly value: string | undefined } {
  const [key = item, value] = item.split("=");
  return { key, value };
}

/** Lists the flags that the given flags exclude. */
export function listExcluded(rules: readonly Rule[], given: readonly string[]): readonly string[] {
  const isGiven = (item: string): boolean => given.includes(item);
  return rules.flatMap((rule) => {
    if (rule.kind === "oneOf") return rule.items.some(isGiven) ? rule.items.filter((item) => !isGiven(item)) : [];
    if (rule.kind !== "excludes") return [];
    return [...(isGiven(rule.item) ? rule.others : []), ...(rule.others.some(isGiven) ? [rule.item] : [])];
  });
}

/** A command line whose settings are resolved. */
interface GivenItems {
  readonly args: readonly string[];
  readonly settings: Readonly<Record<string, unknown>>;
  readonly origins: Readonly<Record<string, string>>;
}

/** The parts of a command that its rules need. */
interface RuledCommand {
  readonly rules?: readonly Rule[];
  readonly args: readonly { readonly name: string }[];
}

/**
 * Checks a command line. Throws UsageError with one line for each broken rule. A flag counts as given if it has a value from
 * anywhere but its default, unless that is an empty list or turns a switch off.
 */
export function checkRules({ rules = [], args }: RuledCommand, given: GivenItems): void {
  const nameItem = (item: string, isForTyped: boolean): string | undefined => {
    const position = args.findIndex(({ name }) => name === item);
    if (position >= 0) return given.args.length > position ? item : undefined;
    const { key, value } = splitItem(item);
    const origin = given.origins[key] ?? "default";
    const setting = given.settings[key];
    const isEmpty = setting === false || (Array.isArray(setting) && setting.length === 0);
    if (origin === "default" || isEmpty || (isForTyped && !origin.startsWith("--"))) return undefined;
    if (value === undefined) return origin;
    return setting === value ? `${origin}=${value}` : undefined;
  };
  const check = (rule: Rule): string | undefined => {
    const listGiven = (items: readonly string[]): readonly string[] =>
      items.map((item) => nameItem(item, rule.isForTyped ?? false)).filter((name) => name !== undefined);
    switch (rule.kind) {
      case "oneOf": {
        const names = listGiven(rule.items);
        if (names.length > 1) return `${join(names, "and")} exclude each other`;
        return rule.isRequired && names.length === 0 ? describeRule(rule) : undefined;
      }
      case "excludes": {
        const [name] = listGiven([rule.item]);
        const others = listGiven(rule.others);
        if (name === undefined || others.length === 0) return undefined;
        return others.map((other) => `${name} and ${other} exclude each other`).join("\n");
      }
      case "together": {
        const count = listGiven(rule.items).length;
        return count > 0 && count < rule.items.length ? describeRule(rule) : undefined;
      }
      case "needs": {
        if (listGiven(rule.needed).length > 0) return undefined;
        const [name] = listGiven(rule.items);
        return name === undefined ? undefined : `${name} needs ${formatItems(rule.needed, "or")}`;
      }
    }
  };
  const broken = rules.flatMap((rule) => {
    const fault = check(rule);
    return fault === undefined ? [] : [{ fault, hint: rule.hint }];
  });
  if (broken.length === 0) return;
  throw new UsageError(
    broken.map(({ fault }) => fault).join("\n"),
    broken.find(({ hint }) => hint !== undefined)?.hint,
  );
}

/** Describes a rule without a period, as errors and help show it: `--inventory and --out go together`. */
export function describeRule(rule: Rule): string {
  switch (rule.kind) {
    case "oneOf":
      return rule.isRequired
        ? `give ${formatItems(rule.items, "or")}`
        : `${formatItems(rule.items, "and")} exclude each other`;
    case "together":
      return `${formatItems(rule.items, "and")} go together`;
    case "excludes":
      return `${formatItems([rule.item], "and")} excludes ${formatItems(rule.others, "and")}`;
    case "needs":
      return `${formatItems(rule.items, "and")} ${rule.items.length > 1 ? "need" : "needs"} ${
        formatItems(rule.needed, "or")
      }`;
  }
}

function formatItems(items: readonly string[], word: "and" | "or"): string {
  const names = items.map((item) => {
    if (item === item.toUpperCase()) return item;
    const { key, value } = splitItem(item);
    return `--${flagName(key)}${value === undefined ? "" : `=${value}`}`;
  });
  return join(names, word);
}

function join(names: readonly string[], word: "and" | "or"): string {
  const [last = ""] = names.slice(-1);
  return names.length < 2 ? last : `${names.slice(0, -1).join(", ")} ${word} ${last}`;
}

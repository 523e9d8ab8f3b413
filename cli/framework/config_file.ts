/** The `--config` file. Its keys are names of flags, its values scalars or lists, and any other content is a fault. */
import { lookup } from "../../core/lib/record.ts";
import { TLSBOOT_API_VERSION } from "../../core/version.ts";
import { flagName, type FlagSet } from "./flags.ts";
import { findNearest } from "../../core/lib/nearest.ts";
import { readYaml } from "../../core/lib/yaml/document.ts";
import type { RawFlags } from "./parse.ts";

/** The only kind of configuration file. */
const CONFIG_KIND = "Config";

/** The settings of a configuration file as texts, and all faults of the file. */
interface ConfigFile {
  readonly raw: RawFlags;
  readonly faults: readonly string[];
}

/** Parses a configuration file. `known` has the flags of all commands, not all of which can be in a file. Never throws. */
export function parseConfigFile(
  text: string,
  path: string,
  known: FlagSet,
  isConfigurable: (key: string) => boolean = () => true,
): ConfigFile {
  const origin = `config file "${path}"`;
  const read = readYaml(text);
  if (!read.ok) return { raw: {}, faults: [`${origin}: not YAML: ${read.error}`] };
  const content = read.value;
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    return { raw: {}, faults: [`${origin}: want a mapping`] };
  }
  const raw: Record<string, readonly string[]> = {};
  const { apiVersion, kind, ...settings }: Record<string, unknown> = { ...content };
  const faults = [
    ...(apiVersion === TLSBOOT_API_VERSION ? [] : [`${origin}: apiVersion must be "${TLSBOOT_API_VERSION}"`]),
    ...(kind === CONFIG_KIND ? [] : [`${origin}: kind must be "${CONFIG_KIND}"`]),
  ];
  for (const [key, value] of Object.entries(settings)) {
    const flag = lookup(known, key);
    const texts = toTexts(value);
    if (flag === undefined) faults.push(`${origin}: unknown key "${key}"${suggestion(key, known)}`);
    else if (!isConfigurable(key)) faults.push(`${origin}: --${flagName(key)} is for the command line only`);
    else if (texts === undefined) faults.push(`${origin}: ${key}: want a value or a list of values`);
    else if (Array.isArray(value) && !flag.isRepeatable) {
      faults.push(`${origin}: ${key}: want one value, not a list`);
    } else raw[key] = texts;
  }
  return { raw, faults };
}

function suggestion(key: string, known: FlagSet): string {
  const nearest = findNearest(key, Object.keys(known));
  return nearest === undefined ? "" : `, did you mean "${nearest}"?`;
}

function toTexts(value: unknown): readonly string[] | undefined {
  const items: readonly unknown[] = Array.isArray(value) ? value : [value];
  const texts = items.map((item) => ["string", "number", "boolean"].includes(typeof item) ? String(item) : undefined);
  const scalars = texts.filter((text) => text !== undefined);
  return scalars.length === texts.length ? scalars : undefined;
}

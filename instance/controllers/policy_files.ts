/** Reads policies, by name or from files, and the inventory at the start, and follows them while the approver runs. */
import { resolve } from "node:path";
import type { FilePort } from "../../client/files.ts";
import { AppError } from "../../core/errors.ts";
import { findNearest } from "../../core/lib/nearest.ts";
import { BUILTIN_POLICIES, INVENTORY_ONLY, type Policy } from "../../core/approval/policy.ts";
import { type Inventory, parseInventory } from "../../core/approval/evidence/inventory.ts";
import { needsInventory } from "../../core/approval/approver_rbac.ts";
import { parsePolicy } from "../../core/approval/parse_policy.ts";
import type { ApproverSettingsText } from "../../core/approval/published.ts";
import type { Clock, Logger } from "../../core/ports.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";
import type { PolicyFiles } from "../settings.ts";
import type { PolicySettings } from "../../core/approval/decide_from_sources.ts";
import type { Trigger } from "../../controllers/mod.ts";

/** The adapters for reading policies. */
interface PolicyFileDeps {
  readonly files: Pick<FilePort, "readText">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly cwd: string;
}

/** Policies and an inventory, with the texts of their files. */
export type LoadedPolicies = PolicySettings & ApproverSettingsText;

/** Settings that follow their files. */
export interface FollowedPolicies extends Pick<Trigger, "changes"> {
  current(): LoadedPolicies;
  /** Reads the files again. A faulty file is logged and not used. */
  refresh(): Promise<void>;
}

/** The settings without policies and an inventory. */
export const NO_POLICIES: LoadedPolicies = {
  policies: [],
  inventory: undefined,
  policyTexts: new Map(),
  inventoryText: undefined,
};

/** How often the files are read again. */
const CHECK_INTERVAL_MS = 1_000;

/**
 * Reads the policies and the inventory of the settings. AppError `config_invalid` with every fault and its location; a
 * missing inventory is a fault unless `isInventoryOptional`.
 */
export async function readPolicies(
  chosen: PolicyFiles,
  deps: Pick<PolicyFileDeps, "files" | "cwd">,
  options: { readonly isInventoryOptional?: boolean } = {},
): Promise<LoadedPolicies> {
  return assertLoaded(parsePolicies(chosen, await readTexts(chosen, deps), options));
}

/**
 * Reads the policies and the inventory, and follows their files while the changes are iterated: a change takes effect
 * within a second, and a faulty file is logged and not used. `builtIn` policies come last. Undefined when there is
 * neither a policy nor an inventory.
 */
export async function followPolicies(
  chosen: PolicyFiles,
  deps: PolicyFileDeps,
  { builtIn = [], isInventoryUsed = () => false }: {
    readonly builtIn?: readonly PolicyWithText[];
    /** Reports whether an inventory has an effect without a policy. */
    readonly isInventoryUsed?: (inventory: Inventory) => boolean;
  } = {},
): Promise<FollowedPolicies | undefined> {
  const { policy, inventory } = chosen;
  if (policy.length === 0 && inventory === undefined && builtIn.length === 0) return undefined;
  const { clock, logger } = deps;
  let texts = await readTexts(chosen, deps);
  let current = assertLoaded(parsePolicies(chosen, texts, { builtIn }));
  const listed = current.inventory;
  if (policy.length === 0 && listed !== undefined && !isInventoryUsed(listed)) {
    throw new AppError("usage", "the setting inventory has no effect without the setting policy", {
      hint: "add the setting policy kubelet-serving or a policy file; up also takes it with the setting autoApprove",
    });
  }
  let delivered = current;
  const refresh = async (): Promise<void> => {
    const read = await readTexts(chosen, deps);
    if (JSON.stringify([...read]) === JSON.stringify([...texts])) return;
    texts = read;
    const next = parsePolicies(chosen, texts, { builtIn });
    if (!next.ok) {
      logger.error("policy or inventory changed but cannot be used, the previous ones stay in use", {
        faults: next.error,
      });
      return;
    }
    current = next.value;
    logger.info("policy or inventory reloaded", {
      policies: current.policies.map(({ name }) => name),
      nodes: current.inventory?.size ?? 0,
    });
  };
  return {
    current: () => current,
    refresh,
    async *changes(signal) {
      while (true) {
        await clock.sleep(CHECK_INTERVAL_MS, signal);
        await refresh();
        const changed = current;
        if (changed === delivered) continue;
        yield { kind: "changed", object: { metadata: {} } };
        // If the receiver failed, the generator ended at `yield`, and the change is delivered again.
        delivered = changed;
      }
    },
  };
}

function assertLoaded(loaded: Result<LoadedPolicies, readonly string[]>): LoadedPolicies {
  if (loaded.ok) return loaded.value;
  throw new AppError("config_invalid", loaded.error.join("\n"), {
    hint: "correct the files; check them with: tlsboot policy check FILE",
  });
}

/** The texts of the files by name: undefined for a missing file, and an error for one that cannot be read. */
type Texts = ReadonlyMap<string, Result<string | undefined, string>>;

async function readTexts(
  { policy, inventory }: PolicyFiles,
  { files, cwd }: Pick<PolicyFileDeps, "files" | "cwd">,
): Promise<Texts> {
  const names = [
    ...policy.filter((name) => !BUILTIN_POLICIES.has(name)),
    ...inventory === undefined ? [] : [inventory],
  ];
  const read = async (name: string): Promise<Result<string | undefined, string>> => {
    try {
      return ok(await files.readText(resolve(cwd, name)));
    } catch (error) {
      if (error instanceof AppError) return err(error.message);
      throw error;
    }
  };
  return new Map(await Promise.all(names.map(async (name) => [name, await read(name)] as const)));
}

/** A policy and the text of its file. */
export interface PolicyWithText {
  readonly policy: Policy;
  /** The text of the file; undefined for a built-in policy. */
  readonly text: string | undefined;
}

/** Parses the policies and the inventory from the texts of their files. `builtIn` policies come last. */
function parsePolicies(
  { policy: named, inventory: path }: PolicyFiles,
  texts: Texts,
  { builtIn = [], isInventoryOptional = false }: {
    readonly builtIn?: readonly PolicyWithText[];
    readonly isInventoryOptional?: boolean;
  },
): Result<LoadedPolicies, readonly string[]> {
  const faults: string[] = [];
  const parse = <T>(
    setting: string,
    name: string,
    missing: () => string,
    parseText: (text: string) => Result<T, readonly string[]>,
  ): readonly { readonly value: T; readonly text: string }[] => {
    const text = texts.get(name) ?? ok(undefined);
    const parsed = !text.ok
      ? err([`the setting ${setting}: cannot read "${name}": ${text.error}`])
      : text.value === undefined
      ? err([`the setting ${setting}: ${missing()}`])
      : prefixFaults(name, parseText(text.value));
    if (parsed.ok && text.ok && text.value !== undefined) return [{ value: parsed.value, text: text.value }];
    if (!parsed.ok) faults.push(...parsed.error);
    return [];
  };
  const read = named.flatMap((name): readonly PolicyWithText[] => {
    const builtin = BUILTIN_POLICIES.get(name);
    if (builtin !== undefined) return [{ policy: builtin, text: undefined }];
    return parse("policy", name, () => describeUnknownPolicy(name), parsePolicy)
      .map(({ value, text }) => ({ policy: value, text }));
  });
  const withTexts = [...read, ...builtIn];
  const policies = withTexts.map(({ policy }) => policy);
  const duplicate = policies.find(({ name }, index) => policies.findIndex((other) => other.name === name) !== index);
  if (duplicate !== undefined) faults.push(`the setting policy: two policies are called "${duplicate.name}"`);
  const [inventory] = path === undefined
    ? []
    : parse("inventory", path, () => `cannot read "${path}": no such file`, parseInventory);
  const dependent = isInventoryOptional ? undefined : read.find(({ policy }) => needsInventory(policy))?.policy;
  if (dependent !== undefined && path === undefined) {
    faults.push(
      `the setting inventory is missing: policy "${dependent.name}" uses it to prove which names belong to a node` +
        (BUILTIN_POLICIES.has(dependent.name) ? "" : " (evidence.inventory: false when there is none)"),
    );
  }
  if (faults.length > 0) return err(faults);
  return ok({
    policies,
    inventory: inventory?.value,
    policyTexts: new Map(withTexts.flatMap(({ policy, text }) => text === undefined ? [] : [[policy.name, text]])),
    inventoryText: inventory?.text,
  });
}

function describeUnknownPolicy(name: string): string {
  const nearest = findNearest(name, BUILTIN_POLICIES.keys());
  const names = nearest === undefined ? `policies are ${[...BUILTIN_POLICIES.keys()].join(", ")}` : undefined;
  return `"${name}" is neither a policy nor a file; ${names ?? `did you mean ${nearest}?`}`;
}

/** Prefixes faults with the name of the file. */
function prefixFaults<T>(path: string, read: Result<T, readonly string[]>): Result<T, readonly string[]> {
  return read.ok ? read : err(read.error.map((fault) => `${path}: ${fault}`));
}

/** With `autoApprove` and an inventory, only machines in the inventory are approved. */
export function withInventoryOnly(
  { policy, inventory, autoApprove }: PolicyFiles & { readonly autoApprove: boolean },
): PolicyFiles {
  const isLimited = autoApprove && inventory !== undefined && !policy.includes(INVENTORY_ONLY.name);
  return { policy: isLimited ? [INVENTORY_ONLY.name, ...policy] : policy, inventory };
}

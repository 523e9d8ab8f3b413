/** Policies by name or from files, and the inventory: read at the start, and followed while the approver runs. */
import { resolve } from "node:path";
import type { FilePort } from "../client/files.ts";
import { AppError } from "../core/errors.ts";
import { findNearest } from "../core/lib/nearest.ts";
import { BUILTIN_POLICIES, INVENTORY_ONLY } from "../core/approval/rules/builtin_policies.ts";
import { type Inventory, parseInventory } from "../core/approval/evidence/inventory.ts";
import { needsInventory } from "../core/approval/approver_rbac.ts";
import { parsePolicy } from "../core/approval/parse_policy.ts";
import type { Policy } from "../core/approval/policy.ts";
import type { ApproverSettingsText } from "../core/approval/published.ts";
import type { Clock, Logger } from "../core/ports.ts";
import { err, ok, type Result } from "../core/lib/result.ts";
import type { PolicySettings } from "../controllers/evidence.ts";
import type { Trigger } from "../controllers/loop.ts";
import type { PolicyFiles } from "./settings.ts";

/** The adapters for reading policies. */
export interface PolicyFileDeps {
  readonly files: Pick<FilePort, "readText">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly cwd: string;
}

/** Policies and an inventory, and the texts of the files that they were read from. */
export type LoadedPolicies = PolicySettings & ApproverSettingsText;

/** Settings that follow their files; `current` also returns the texts. */
export interface FollowedPolicies extends Pick<Trigger, "changes"> {
  current(): LoadedPolicies;
}

/** The settings without any policy and inventory, which never change. */
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
  { isInventoryOptional = false }: { readonly isInventoryOptional?: boolean } = {},
): Promise<LoadedPolicies> {
  const loaded = await load(chosen, deps, isInventoryOptional);
  if (loaded.ok) return loaded.value;
  throw new AppError("config_invalid", loaded.error.join("\n"), {
    hint: "correct the files; check them with: tlsboot policy check FILE",
  });
}

/**
 * Reads the policies and the inventory, and follows their files while the changes are iterated: a change takes effect
 * within a second, and a faulty file is logged and not used. The built-in policies come last. Undefined when there is no
 * policy.
 */
export async function followPolicies(
  chosen: PolicyFiles,
  deps: PolicyFileDeps,
  builtIn: readonly PolicyWithText[] = [],
): Promise<FollowedPolicies | undefined> {
  if (chosen.policy.length === 0) {
    if (chosen.inventory === undefined && builtIn.length === 0) return undefined;
    if (chosen.inventory !== undefined) {
      throw new AppError("usage", "the setting inventory has no effect without the setting policy", {
        hint: "add the setting policy kubelet-serving or a policy file; up also takes it with the setting autoApprove",
      });
    }
  }
  const { clock, logger } = deps;
  // Read before the policies, so that a change between the two reads is noticed.
  let seen = await readContent(chosen, deps);
  let current: LoadedPolicies = withBuiltIn(await readPolicies(chosen, deps), builtIn);
  return {
    current: () => current,
    async *changes(signal) {
      while (true) {
        await clock.sleep(CHECK_INTERVAL_MS, signal);
        const content = await readContent(chosen, deps);
        if (content === seen) continue;
        seen = content;
        const next = await load(chosen, deps);
        if (!next.ok) {
          logger.error("policy or inventory changed but cannot be used, the previous ones stay in use", {
            faults: next.error,
          });
          continue;
        }
        const clash = findTakenName(next.value, builtIn);
        if (clash !== undefined) {
          logger.error("policy changed but cannot be used, the previous ones stay in use", { faults: [clash] });
          continue;
        }
        current = withBuiltIn(next.value, builtIn);
        logger.info("policy or inventory reloaded", {
          policies: current.policies.map(({ name }) => name),
          nodes: current.inventory?.size ?? 0,
        });
        yield { kind: "changed", object: { metadata: {} } };
      }
    },
  };
}

/** Finds a policy of a file that has the name of a built-in one. */
function findTakenName({ policies }: LoadedPolicies, builtIn: readonly PolicyWithText[]): string | undefined {
  const taken = builtIn.find(({ policy }) => policies.some(({ name }) => name === policy.name));
  return taken === undefined ? undefined : `the setting policy: "${taken.policy.name}" is the name of a policy of up`;
}

/** Adds policies that belong to other settings. AppError `usage` when a file has a policy of the same name. */
function withBuiltIn(loaded: LoadedPolicies, builtIn: readonly PolicyWithText[]): LoadedPolicies {
  const taken = findTakenName(loaded, builtIn);
  if (taken !== undefined) throw new AppError("usage", taken, { hint: "rename the policy in the file" });
  const texts = builtIn.flatMap(({ policy, text }) => text === undefined ? [] : [[policy.name, text] as const]);
  return {
    ...loaded,
    policies: [...loaded.policies, ...builtIn.map(({ policy }) => policy)],
    policyTexts: new Map([...loaded.policyTexts, ...texts]),
  };
}

async function load(
  chosen: PolicyFiles,
  deps: Pick<PolicyFileDeps, "files" | "cwd">,
  isInventoryOptional = false,
): Promise<Result<LoadedPolicies, readonly string[]>> {
  const faults: string[] = [];
  const keep = <T>(read: Result<T, readonly string[]>): readonly T[] => {
    if (read.ok) return [read.value];
    faults.push(...read.error);
    return [];
  };
  const read: PolicyWithText[] = [];
  for (const named of chosen.policy) read.push(...keep(await readPolicy(named, deps)));
  const policies = read.map(({ policy }) => policy);
  const twice = policies.find(({ name }, index) => policies.findIndex((other) => other.name === name) !== index);
  if (twice !== undefined) faults.push(`the setting policy: two policies are called "${twice.name}"`);
  const [inventory] = chosen.inventory === undefined ? [] : keep(await readInventory(chosen.inventory, deps));
  const needy = isInventoryOptional ? undefined : policies.find(needsInventory);
  if (needy !== undefined && chosen.inventory === undefined) {
    faults.push(
      `the setting inventory is missing: policy "${needy.name}" uses it to prove which names belong to a node` +
        (BUILTIN_POLICIES.has(needy.name) ? "" : " (evidence.inventory: false when there is none)"),
    );
  }
  if (faults.length > 0) return err(faults);
  return ok({
    policies,
    inventory: inventory?.value,
    policyTexts: new Map(read.flatMap(({ policy, text }) => text === undefined ? [] : [[policy.name, text]])),
    inventoryText: inventory?.text,
  });
}

/** A policy, and the file that it was read from. */
export interface PolicyWithText {
  readonly policy: Policy;
  /** The text of the file; undefined for a built-in policy. */
  readonly text: string | undefined;
}

async function readPolicy(
  named: string,
  { files, cwd }: Pick<PolicyFileDeps, "files" | "cwd">,
): Promise<Result<PolicyWithText, readonly string[]>> {
  const builtin = BUILTIN_POLICIES.get(named);
  if (builtin !== undefined) return ok({ policy: builtin, text: undefined });
  const text = await readText(resolve(cwd, named), files);
  if (!text.ok) return err([`the setting policy: cannot read "${named}": ${text.error}`]);
  if (text.value === undefined) {
    const nearest = findNearest(named, BUILTIN_POLICIES.keys());
    const names = nearest === undefined ? `policies are ${[...BUILTIN_POLICIES.keys()].join(", ")}` : undefined;
    return err([
      `the setting policy: "${named}" is neither a policy nor a file; ${names ?? `did you mean ${nearest}?`}`,
    ]);
  }
  const parsed = prefixFaults(named, parsePolicy(text.value));
  return parsed.ok ? ok({ policy: parsed.value, text: text.value }) : parsed;
}

async function readInventory(
  path: string,
  { files, cwd }: Pick<PolicyFileDeps, "files" | "cwd">,
): Promise<Result<{ readonly value: Inventory; readonly text: string }, readonly string[]>> {
  const text = await readText(resolve(cwd, path), files);
  if (!text.ok) return err([`the setting inventory: cannot read "${path}": ${text.error}`]);
  if (text.value === undefined) return err([`the setting inventory: cannot read "${path}": no such file`]);
  const parsed = prefixFaults(path, parseInventory(text.value));
  return parsed.ok ? ok({ value: parsed.value, text: text.value }) : parsed;
}

/** Prefixes faults with the name of the file. */
function prefixFaults<T>(path: string, read: Result<T, readonly string[]>): Result<T, readonly string[]> {
  return read.ok ? read : err(read.error.map((fault) => `${path}: ${fault}`));
}

async function readText(
  path: string,
  files: Pick<FilePort, "readText">,
): Promise<Result<string | undefined, string>> {
  try {
    return ok(await files.readText(path));
  } catch (error) {
    if (error instanceof AppError) return err(error.message);
    throw error;
  }
}

/**
 * Reads all files of the settings as one text. A file that cannot be read is represented by its fault, so that the fault
 * is logged once.
 */
async function readContent(chosen: PolicyFiles, { files, cwd }: PolicyFileDeps): Promise<string> {
  const paths = [
    ...chosen.policy.filter((name) => !BUILTIN_POLICIES.has(name)),
    ...(chosen.inventory === undefined ? [] : [chosen.inventory]),
  ];
  const texts = await Promise.all(paths.map((path) => readText(resolve(cwd, path), files)));
  return JSON.stringify(texts);
}

/** With `autoApprove` and an inventory, only machines in the inventory are approved. */
export function withInventoryOnly(
  { policy, inventory, autoApprove }: PolicyFiles & { readonly autoApprove: boolean },
): PolicyFiles {
  const isLimited = autoApprove && inventory !== undefined && !policy.includes(INVENTORY_ONLY.name);
  return { policy: isLimited ? [INVENTORY_ONLY.name, ...policy] : policy, inventory };
}

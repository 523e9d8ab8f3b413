/** Policies by name or from files, and the inventory: read at the start, followed while the approver runs. */
import { resolve } from "node:path";
import type { FilePort } from "../../client/files.ts";
import { AppError } from "../../core/errors.ts";
import { findNearest } from "../../core/lib/nearest.ts";
import { BUILTIN_POLICIES } from "../../core/approval/builtin_policies.ts";
import { type Inventory, parseInventory } from "../../core/approval/inventory.ts";
import { needsInventory } from "../../core/approval/needs.ts";
import { parsePolicy } from "../../core/approval/parse_policy.ts";
import type { Policy } from "../../core/approval/policy.ts";
import type { Clock, Logger } from "../../core/ports.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";
import { UsageError } from "../framework/usage_error.ts";
import type { PolicySettings } from "../../server/controllers/policy_input.ts";
import type { PolicyApproverDeps } from "../../server/controllers/policy_approver.ts";

/** What the flags name. */
export interface PolicyFlags {
  /** Names of policies that come with tlsboot, or paths. */
  readonly policy: readonly string[];
  readonly inventory: string | undefined;
}

/** What reading takes. */
export interface PolicyFileDeps {
  readonly files: Pick<FilePort, "readText">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly cwd: string;
}

/** How often the files are looked at. */
const LOOK_EVERY_MS = 1_000;

/**
 * Reads everything that the flags name. AppError `config_invalid` with every fault and its place; a missing inventory is
 * one unless told otherwise.
 */
export async function readPolicies(
  flags: PolicyFlags,
  deps: Pick<PolicyFileDeps, "files" | "cwd">,
  { isInventoryOptional = false }: { readonly isInventoryOptional?: boolean } = {},
): Promise<PolicySettings> {
  const loaded = await load(flags, deps, isInventoryOptional);
  if (loaded.ok) return loaded.value;
  throw new AppError("config_invalid", loaded.error.join("\n"), {
    hint: "correct the files; tlsboot approver test tries a policy before it decides anything",
  });
}

/**
 * Reads everything, and goes on looking: a change takes effect within a second, a faulty one is told aloud and changes
 * nothing. The changes have to be iterated for that. Undefined when the flags name no policy.
 */
export async function followPolicies(
  flags: PolicyFlags,
  deps: PolicyFileDeps,
): Promise<PolicyApproverDeps["settings"] | undefined> {
  if (flags.policy.length === 0) {
    if (flags.inventory === undefined) return undefined;
    throw new UsageError(
      "--inventory does nothing without --policy",
      "add --policy kubelet-serving, or a file of yours",
    );
  }
  const { clock, logger } = deps;
  // Compared with what was there before the first reading: what changes in between is seen.
  let seen = await readContent(flags, deps);
  let current: PolicySettings = await readPolicies(flags, deps);
  return {
    current: () => current,
    async *changes(signal) {
      while (true) {
        await clock.sleep(LOOK_EVERY_MS, signal);
        const content = await readContent(flags, deps);
        if (content === seen) continue;
        seen = content;
        const next = await load(flags, deps);
        if (!next.ok) {
          logger.error("policy or inventory changed but cannot be used, the old ones stay in use", {
            faults: next.error,
          });
          continue;
        }
        current = next.value;
        logger.info("policy or inventory read anew", {
          policies: current.policies.map(({ name }) => name),
          nodes: current.inventory?.size ?? 0,
        });
        yield { kind: "changed", object: { metadata: {} } };
      }
    },
  };
}

async function load(
  flags: PolicyFlags,
  deps: Pick<PolicyFileDeps, "files" | "cwd">,
  isInventoryOptional = false,
): Promise<Result<PolicySettings, readonly string[]>> {
  const faults: string[] = [];
  const keep = <T>(read: Result<T, readonly string[]>): readonly T[] => {
    if (read.ok) return [read.value];
    faults.push(...read.error);
    return [];
  };
  const policies: Policy[] = [];
  for (const named of flags.policy) policies.push(...keep(await readPolicy(named, deps)));
  const twice = policies.find(({ name }, index) => policies.findIndex((other) => other.name === name) !== index);
  if (twice !== undefined) faults.push(`--policy: two policies are called "${twice.name}"`);
  const inventory = flags.inventory === undefined ? [] : keep(await readInventory(flags.inventory, deps));
  const needy = isInventoryOptional ? undefined : policies.find(needsInventory);
  if (needy !== undefined && flags.inventory === undefined) {
    faults.push(
      `--inventory is missing: policy "${needy.name}" proves by it which names belong to a node` +
        (BUILTIN_POLICIES.has(needy.name) ? "" : " (evidence.inventory: false when there is none)"),
    );
  }
  return faults.length === 0 ? ok({ policies, inventory: inventory[0] }) : err(faults);
}

async function readPolicy(
  named: string,
  { files, cwd }: Pick<PolicyFileDeps, "files" | "cwd">,
): Promise<Result<Policy, readonly string[]>> {
  const builtin = BUILTIN_POLICIES.get(named);
  if (builtin !== undefined) return ok(builtin);
  const text = await readText(resolve(cwd, named), files);
  if (!text.ok) return err([`--policy: cannot read "${named}": ${text.error}`]);
  if (text.value === undefined) {
    const nearest = findNearest(named, BUILTIN_POLICIES.keys());
    const names = nearest === undefined ? `policies are ${[...BUILTIN_POLICIES.keys()].join(", ")}` : undefined;
    return err([`--policy: "${named}" is no policy and no file; ${names ?? `did you mean ${nearest}?`}`]);
  }
  return placed(named, parsePolicy(text.value));
}

async function readInventory(
  path: string,
  { files, cwd }: Pick<PolicyFileDeps, "files" | "cwd">,
): Promise<Result<Inventory, readonly string[]>> {
  const text = await readText(resolve(cwd, path), files);
  if (!text.ok) return err([`--inventory: cannot read "${path}": ${text.error}`]);
  if (text.value === undefined) return err([`--inventory: cannot read "${path}": no such file`]);
  return placed(path, parseInventory(text.value));
}

/** Faults with the file's name before the place in it. */
function placed<T>(path: string, read: Result<T, readonly string[]>): Result<T, readonly string[]> {
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

/** Everything the flags name, as one text; what cannot be read is a text too, so that its fault is told once. */
async function readContent(flags: PolicyFlags, { files, cwd }: PolicyFileDeps): Promise<string> {
  const paths = [
    ...flags.policy.filter((name) => !BUILTIN_POLICIES.has(name)),
    ...(flags.inventory === undefined ? [] : [flags.inventory]),
  ];
  const texts = await Promise.all(paths.map((path) => readText(resolve(cwd, path), files)));
  return JSON.stringify(texts);
}

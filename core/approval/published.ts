/**
 * The settings that a running approver publishes in the ConfigMap `kube-system/tlsboot-approver`, so that a command on
 * any machine decides as the approver does: the names of its policies in order, their files, and its inventory.
 */
import { SYSTEM_NAMESPACE } from "../kube/meta.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { BUILTIN_POLICIES, type Policy } from "./policy.ts";
import { type Inventory, parseInventory } from "./evidence/inventory.ts";
import { parsePolicy } from "./parse_policy.ts";

/** The namespace and name of the ConfigMap. */
export const PUBLISHED_SETTINGS = { namespace: SYSTEM_NAMESPACE, name: "tlsboot-approver" } as const;

/** The policies and the inventory of an approver, and the texts of the files that they were read from. */
export interface ApproverSettingsText {
  readonly policies: readonly Policy[];
  /** The text of each policy that was read from a file, by the name of the policy. */
  readonly policyTexts: ReadonlyMap<string, string>;
  readonly inventoryText: string | undefined;
}

/** The settings that a command reads from the ConfigMap. */
interface PublishedSettings {
  readonly policies: readonly Policy[];
  readonly inventory: Inventory | undefined;
  /** The signers that run in the process of the approver, as in `up`; undefined for a standalone approver. */
  readonly signers: readonly string[] | undefined;
  readonly tokenLimits: TokenLimitChecks;
}

/**
 * Where the limits of bootstrap tokens are checked: by the server when a request is created and then by the approver,
 * by the approver alone, or nowhere.
 */
export type TokenLimitChecks = "at creation" | "by the approver" | "none";

const POLICIES_KEY = "policies";
const INVENTORY_KEY = "inventory.yaml";
const OMITTED_KEY = "inventory.omitted";
const SIGNERS_KEY = "signers";
const TOKENS_KEY = "tokens.limits";

/** A ConfigMap holds 1 MiB (`pkg/apis/core` MaxSecretSize); this leaves room for its metadata and other keys. */
const MAX_TEXT_BYTES = 1_000_000;

/** Creates the data of the ConfigMap. An inventory that does not fit is left out, and its size is published instead. */
export function formatPublishedSettings(
  { policies, policyTexts, inventoryText }: ApproverSettingsText,
  { signers, tokenLimits = "none" }: Partial<Pick<PublishedSettings, "signers" | "tokenLimits">> = {},
): Readonly<Record<string, string>> {
  const texts = Object.fromEntries(
    policies.flatMap(({ name }) => {
      const text = policyTexts.get(name);
      return text === undefined ? [] : [[`policy.${name}.yaml`, text]];
    }),
  );
  const base = {
    [POLICIES_KEY]: formatLines(policies.map(({ name }) => name)),
    ...(signers === undefined ? {} : { [SIGNERS_KEY]: formatLines(signers) }),
    ...(tokenLimits === "none" ? {} : { [TOKENS_KEY]: tokenLimits }),
    ...texts,
  };
  if (inventoryText === undefined) return base;
  const size = countBytes(...Object.values(texts), inventoryText);
  return size <= MAX_TEXT_BYTES
    ? { ...base, [INVENTORY_KEY]: inventoryText }
    : { ...base, [OMITTED_KEY]: `${countBytes(inventoryText)} bytes` };
}

function formatLines(values: readonly string[]): string {
  return values.map((value) => `${value}\n`).join("");
}

function parseLines(text: string | undefined): readonly string[] | undefined {
  return text?.split("\n").filter((value) => value !== "");
}

function countBytes(...texts: readonly string[]): number {
  return texts.reduce((total, text) => total + new TextEncoder().encode(text).length, 0);
}

/** Parses the data of the ConfigMap. The error lists every fault. */
export function parsePublishedSettings(
  data: Readonly<Record<string, string>>,
): Result<PublishedSettings, readonly string[]> {
  const names = parseLines(data[POLICIES_KEY]);
  if (names === undefined) return err([`${POLICIES_KEY}: missing`]);
  const faults: string[] = [];
  const policies = names.flatMap((name) => {
    const key = `policy.${name}.yaml`;
    const text = data[key];
    const builtin = BUILTIN_POLICIES.get(name);
    if (text === undefined && builtin !== undefined) return [builtin];
    const parsed = text === undefined ? err(["missing"]) : parsePolicy(text);
    if (parsed.ok) return [parsed.value];
    faults.push(...parsed.error.map((fault) => `${key}: ${fault}`));
    return [];
  });
  const omitted = data[OMITTED_KEY];
  if (omitted !== undefined) faults.push(`the inventory was too large to publish, with ${omitted}`);
  const text = data[INVENTORY_KEY];
  const inventory = text === undefined ? undefined : parseInventory(text);
  if (inventory?.ok === false) faults.push(...inventory.error.map((fault) => `${INVENTORY_KEY}: ${fault}`));
  if (faults.length > 0) return err(faults);
  const checks = data[TOKENS_KEY];
  return ok({
    policies,
    inventory: inventory?.ok === true ? inventory.value : undefined,
    signers: parseLines(data[SIGNERS_KEY]),
    tokenLimits: checks === "at creation" || checks === "by the approver" ? checks : "none",
  });
}

/** What a user can choose for a bootstrap token: usages, groups and limits. They are parsed without the code for Secrets. */
import { err, ok, type Result } from "../lib/result.ts";

export const BOOTSTRAP_TOKEN_USAGES: readonly string[] = ["signing", "authentication"];
/** The group of the bootstrap tokens of `tlsboot up`, which may request node certificates. */
export const UP_TOKEN_GROUP = "system:bootstrappers:tlsboot";

const GROUP = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;
export const GROUP_PATTERN = "\\Asystem:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\\z";

/** Reports whether a token may assign a group to its bearer. */
export function isBootstrapGroup(group: string): boolean {
  return GROUP.test(group);
}

/** The largest number of keys of one token. Their hashes must fit into the 256 KiB that annotations may have. */
const MAX_TOKEN_USES = 1_000;

export function parseTokenUses(text: string): Result<number, string> {
  const uses = /^[1-9]\d{0,3}$/.test(text) ? Number(text) : 0;
  return uses >= 1 && uses <= MAX_TOKEN_USES ? ok(uses) : err(`want a number from 1 to ${MAX_TOKEN_USES}`);
}

/** The policies and the inventory of the flags, with which a command explains verdicts instead of the approver's own. */
import { type ChosenSettings, describePolicies } from "../client/admin/published_settings.ts";
import { readPolicies } from "../instance/controllers/policy_files.ts";
import type { PolicyFiles } from "../instance/settings.ts";
import type { Tools } from "./io.ts";

/** Reads the settings of the flags; undefined when there are no such flags. */
export async function readFlagSettings(
  flags: PolicyFiles,
  tools: Pick<Tools, "files" | "cwd">,
): Promise<ChosenSettings | undefined> {
  if (flags.policy.length === 0 && flags.inventory === undefined) return undefined;
  const settings = await readPolicies(flags, tools);
  return { ...settings, source: "flags", origin: `${describePolicies(settings)} (from the flags)` };
}

/** Adds to the origin of unknown settings how the user can give them. */
export function suggestPolicyFlags(published: ChosenSettings): ChosenSettings {
  if (published.source !== "none") return published;
  return { ...published, origin: `${published.origin}; give --policy and --inventory if the approver has any` };
}

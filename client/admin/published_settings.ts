/** Reads the policies and the inventory that an approver has published, and describes them. */
import { parsePublishedSettings, PUBLISHED_SETTINGS, type TokenLimitChecks } from "../../core/approval/published.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import type { ConfigMap } from "../../core/kube/kinds/core_v1.ts";
import type { PolicySettings } from "../../core/approval/decide_from_sources.ts";
import type { ApiClient } from "../objects/api.ts";

/** The settings and their origin. */
export interface ChosenSettings extends PolicySettings {
  /** The signers that run in the process of the approver; undefined when they are not known. */
  readonly signers?: readonly string[] | undefined;
  /** Where the limits of bootstrap tokens are checked; undefined when that is not known. */
  readonly tokenLimits?: TokenLimitChecks | undefined;
  readonly source: "flags" | "approver" | "none";
  /** The origin in words, for a person. */
  readonly origin: string;
}

/** Reads the settings that the approver has published. If there are none, requests are decided without policies. */
export async function readApproverSettings(api: ApiClient, signal: AbortSignal): Promise<ChosenSettings> {
  const { namespace, name } = PUBLISHED_SETTINGS;
  const path = `/api/v1/namespaces/${namespace}/configmaps/${name}`;
  try {
    const { data = {} } = await api.requestObject<ConfigMap>({ method: "GET", path }, signal);
    const parsed = parsePublishedSettings(data);
    if (!parsed.ok) {
      return createNoSettings(`ConfigMap ${namespace}/${name} cannot be used: ${parsed.error.join("; ")}`);
    }
    return {
      ...parsed.value,
      source: "approver",
      origin: `${describePolicies(parsed.value)} (published by the approver)`,
    };
  } catch (error) {
    signal.throwIfAborted();
    if (isAppError(error, "not_found")) return createNoSettings("no approver of tlsboot has published any");
    if (!(error instanceof AppError)) throw error;
    return createNoSettings(`they cannot be read: ${error.message}`);
  }
}

/** Creates settings without policies; `why` is the reason that the approver's settings are unknown. */
export function createNoSettings(why: string): ChosenSettings {
  return { policies: [], inventory: undefined, source: "none", origin: `unknown, ${why}` };
}

/** Formats the names of policies and the size of an inventory. */
export function describePolicies({ policies, inventory }: PolicySettings): string {
  const names = policies.map(({ name }) => name).join(", ");
  const hashed = inventory?.hashedHosts === undefined ? "" : ` and ${inventory.hashedHosts.length} with hashed names`;
  const nodes = inventory === undefined ? "" : `, inventory of ${inventory.size}${hashed}`;
  return `${names === "" ? "none" : names}${nodes}`;
}

/** Converts the manifest of a controller's permissions into access reviews that check whether it has them. */
import { omitUndefined } from "../lib/record.ts";
import type { ResourceAttributesSpec } from "../kube/kinds/authorization_v1.ts";
import type { PolicyRule } from "../kube/kinds/rbac_v1.ts";
import type { ManifestPart } from "./manifest.ts";

/** One permission that a controller needs. */
export interface NeededRight {
  /** The permission in words: `update certificatesigningrequests/status.certificates.k8s.io`. */
  readonly text: string;
  /** Any of these is enough, because the permission for a signer may be granted for its whole domain. */
  readonly anyOf: readonly ResourceAttributesSpec[];
  /**
   * Whether the controller can work without it: no; yes, as it only lacks Events, for instance; or as long as it has the
   * permission for another signer.
   */
  readonly need: "essential" | "optional" | "oneSigner";
}

/** The permissions that a controller lacks. */
export interface MissingRights {
  /** The permissions in words, each once. */
  readonly texts: readonly string[];
  /** Whether the controller cannot work without them. */
  readonly isFatal: boolean;
}

/** Describes the missing ones of the needed permissions. When those for all signers are missing, they are one text. */
export function describeMissingRights(
  needed: readonly NeededRight[],
  missing: readonly NeededRight[],
): MissingRights {
  const forSigners = missing.filter(({ need }) => need === "oneSigner");
  const needsSigner = needed.some(({ need }) => need === "oneSigner");
  const lacksSigners = needsSigner && forSigners.length === needed.filter(({ need }) => need === "oneSigner").length;
  const joint = forSigners.map(({ text, anyOf }, index) => index === 0 ? text : `"${anyOf[0]?.name}"`).join(" or ");
  const texts = missing.map((right) => lacksSigners && right.need === "oneSigner" ? joint : right.text);
  return {
    texts: [...new Set(texts)],
    isFatal: lacksSigners || missing.some(({ need }) => need === "essential"),
  };
}

/** Lists every permission that the roles of a manifest grant. */
export function listNeededRights(manifest: readonly ManifestPart[]): readonly NeededRight[] {
  return manifest.flatMap(({ object }) => {
    if (!("rules" in object)) return [];
    // Only roles have rules among the kinds of a manifest.
    const rules = object.rules as readonly PolicyRule[];
    return rules.flatMap((rule) => toNeededRights(rule, object.metadata.namespace));
  });
}

function toNeededRights(rule: PolicyRule, namespace: string | undefined): readonly NeededRight[] {
  const { apiGroups = [], resources = [], resourceNames = [] } = rule;
  return apiGroups.flatMap((group) =>
    resources.flatMap((plural) =>
      (rule.verbs ?? []).flatMap((verb) => {
        const [resource = "", subresource] = plural.split("/");
        const attributes: ResourceAttributesSpec = {
          verb,
          group,
          resource,
          ...omitUndefined({ subresource, namespace }),
        };
        const what = `${verb} ${plural}${group === "" ? "" : `.${group}`}`;
        const where = namespace === undefined ? "" : ` in namespace ${namespace}`;
        if (resource === "signers") return signerRights(what, attributes, resourceNames);
        const named = resourceNames.map((name) => `"${name}"`).join(", ");
        return {
          text: `${what}${named === "" ? "" : ` ${named}`}${where}`,
          anyOf: resourceNames.length === 0 ? [attributes] : resourceNames.map((name) => ({ ...attributes, name })),
          need: isSpared(verb, plural) ? "optional" : "essential",
        };
      })
    )
  );
}

function signerRights(
  what: string,
  attributes: ResourceAttributesSpec,
  names: readonly string[],
): readonly NeededRight[] {
  return names.map((name) => ({
    text: `${what} "${name}"`,
    // The API checks the name, then the whole domain (`pkg/certauthorization/certauthorization.go`).
    anyOf: [name, `${name.split("/")[0] ?? ""}/*`].map((allowed) => ({ ...attributes, name: allowed })),
    need: attributes.verb === "attest" ? "optional" : "oneSigner",
  }));
}

/**
 * Reports whether a controller works without the permission: Events, the API's CAs, the published settings, the register,
 * the published CAs of a signer, an existing Lease, get of one CSR.
 */
function isSpared(verb: string, plural: string): boolean {
  return plural === "events" || plural === "configmaps" || plural === "issuedcertificates" ||
    plural === "clustertrustbundles" ||
    (plural === "leases" && verb === "create") ||
    (plural === "certificatesigningrequests" && verb === "get");
}

/** Converts the manifest of a controller's permissions into access reviews that check whether it has them. */
import type { ResourceAttributesSpec } from "../kube/authorization_v1.ts";
import type { PolicyRule } from "../kube/rbac_v1.ts";
import type { ManifestPart } from "./manifest.ts";

/** One permission that a controller needs. */
export interface NeededRight {
  /** The permission in words: `update certificatesigningrequests/status.certificates.k8s.io`. */
  readonly text: string;
  /** Any of these is enough, because the permission for a signer may be granted for its whole domain. */
  readonly anyOf: readonly ResourceAttributesSpec[];
  /** Whether the controller cannot work without it. Without another permission it only lacks Events or one signer. */
  readonly isEssential: boolean;
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
          ...(subresource === undefined ? {} : { subresource }),
          ...(namespace === undefined ? {} : { namespace }),
        };
        const what = `${verb} ${plural}${group === "" ? "" : `.${group}`}`;
        const where = namespace === undefined ? "" : ` in namespace ${namespace}`;
        if (resource === "signers") return signerRights(what, attributes, resourceNames);
        const named = resourceNames.map((name) => `"${name}"`).join(", ");
        return {
          text: `${what}${named === "" ? "" : ` ${named}`}${where}`,
          anyOf: resourceNames.length === 0 ? [attributes] : resourceNames.map((name) => ({ ...attributes, name })),
          isEssential: !isSpared(verb, plural),
        };
      })
    )
  );
}

/** Creates the permissions for signers. One signer is enough, so the others are not essential. */
function signerRights(
  what: string,
  attributes: ResourceAttributesSpec,
  names: readonly string[],
): readonly NeededRight[] {
  const rightFor = (some: readonly string[], isEssential: boolean): NeededRight => ({
    text: `${what} ${some.map((name) => `"${name}"`).join(" or ")}`,
    // The API checks the name, then the whole domain (`pkg/registry/certificates/authorization/helpers.go`).
    anyOf: some.flatMap((name) => [name, `${name.split("/")[0] ?? ""}/*`]).map((name) => ({ ...attributes, name })),
    isEssential,
  });
  return names.length === 1
    ? [rightFor(names, true)]
    : [rightFor(names, true), ...names.map((name) => rightFor([name], false))];
}

/** Tells whether a controller works without the permission: Events, the API's CAs, an existing Lease, get of one CSR. */
function isSpared(verb: string, plural: string): boolean {
  return plural === "events" || plural === "configmaps" || (plural === "leases" && verb === "create") ||
    (plural === "certificatesigningrequests" && verb === "get");
}

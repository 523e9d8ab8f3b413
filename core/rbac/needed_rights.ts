/** The rights that a controller needs, as questions: read from the manifest that grants them, so that both say the same. */
import type { ResourceAttributesSpec } from "../kube/authorization_v1.ts";
import type { PolicyRule } from "../kube/rbac_v1.ts";
import type { ManifestPart } from "./manifest.ts";

/** One right. */
export interface NeededRight {
  /** For people: `update certificatesigningrequests/status.certificates.k8s.io`. */
  readonly text: string;
  /** Any of these is enough: the permission for a signer may be given for its whole domain. */
  readonly anyOf: readonly ResourceAttributesSpec[];
  /** Without it the controller does nothing. Without another it does less: no Events, or one signer fewer. */
  readonly isEssential: boolean;
}

/** Every right that the roles of a manifest grant. */
export function listNeededRights(manifest: readonly ManifestPart[]): readonly NeededRight[] {
  return manifest.flatMap(({ object }) => {
    if (!("rules" in object)) return [];
    // Of the kinds in a manifest roles alone have rules.
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

/** One of several signers is enough to work for; the rights for the others are asked for apart. */
function signerRights(
  what: string,
  attributes: ResourceAttributesSpec,
  names: readonly string[],
): readonly NeededRight[] {
  const rightFor = (some: readonly string[], isEssential: boolean): NeededRight => ({
    text: `${what} ${some.map((name) => `"${name}"`).join(" or ")}`,
    // The API asks for the name, then for all of its domain (`pkg/registry/certificates/authorization/helpers.go`).
    anyOf: some.flatMap((name) => [name, `${name.split("/")[0] ?? ""}/*`]).map((name) => ({ ...attributes, name })),
    isEssential,
  });
  return names.length === 1
    ? [rightFor(names, true)]
    : [rightFor(names, true), ...names.map((name) => rightFor([name], false))];
}

/** What a controller can do without: Events, to know the API's CAs, to make a Lease that is there, to read one request. */
function isSpared(verb: string, plural: string): boolean {
  return plural === "events" || plural === "configmaps" || (plural === "leases" && verb === "create") ||
    (plural === "certificatesigningrequests" && verb === "get");
}

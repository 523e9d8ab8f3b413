/**
 * Manifests of the permissions that a controller needs at an API server, with a comment for each object, the access
 * reviews that check whether it has them, and helpers for rules and subjects. In rules, spaces separate words.
 */
import {
  clusterRoleBindingKind,
  clusterRoleKind,
  roleBindingKind,
  roleKind,
  serviceAccountKind,
} from "../kube/kinds/mod.ts";
import {
  type ClusterRole,
  type PolicyRule,
  RBAC_GROUP,
  type Role,
  type RoleBinding,
  type Subject,
} from "../kube/kinds/rbac_v1.ts";
import { getName, type KubeObject, SYSTEM_NAMESPACE } from "../kube/meta.ts";
import { formatApiVersion, type Kind } from "../kube/schema.ts";
import { omitUndefined } from "../lib/record.ts";
import type { ResourceAttributesSpec } from "../kube/kinds/authorization_v1.ts";

/** An object of a manifest and its comment, which may be empty. */
export interface ManifestPart<T extends KubeObject = KubeObject> {
  readonly comment: string;
  readonly object: T;
}

/**
 * Creates a manifest in the order in which it is applied: a service account in kube-system, then each role with its
 * binding. A role without a namespace is a ClusterRole.
 */
export function createManifest(
  comment: string,
  account: string,
  roles: readonly ManifestPart<ClusterRole | Role>[],
): readonly ManifestPart[] {
  const subject = toAccountSubject(account);
  return [
    manifestPart(serviceAccountKind, comment, { metadata: { name: account, namespace: SYSTEM_NAMESPACE } }),
    ...roles.flatMap(({ comment, object }) => {
      const [kind, bindingKind] = object.metadata.namespace === undefined
        ? [clusterRoleKind, clusterRoleBindingKind]
        : [roleKind, roleBindingKind];
      return [manifestPart(kind, comment, object), manifestPart(bindingKind, "", bindRole(object, subject))];
    }),
  ];
}

/** Creates a part from an object without `apiVersion` and `kind`. */
export function manifestPart(kind: Kind, comment: string, object: KubeObject): ManifestPart {
  return { comment, object: { apiVersion: formatApiVersion(kind), kind: kind.kind, ...object } };
}

/** Returns a service account in kube-system as the subject of a binding. */
export function toAccountSubject(name: string): Subject {
  return { kind: "ServiceAccount", name, namespace: SYSTEM_NAMESPACE };
}

/** Returns a user as the subject of a binding. */
export function toUserSubject(name: string): Subject {
  return { kind: "User", apiGroup: RBAC_GROUP, name };
}

/** Returns a group as the subject of a binding. */
export function toGroupSubject(name: string): Subject {
  return { kind: "Group", apiGroup: RBAC_GROUP, name };
}

/** Creates the binding of a role to a subject, by default with the name of the role. */
export function bindRole(
  role: Pick<KubeObject, "metadata">,
  subject: Subject,
  name: string = getName(role),
): RoleBinding {
  const { namespace } = role.metadata;
  const kind = namespace === undefined ? "ClusterRole" : "Role";
  return {
    metadata: namespace === undefined ? { name } : { name, namespace },
    subjects: [subject],
    roleRef: { apiGroup: RBAC_GROUP, kind, name: getName(role) },
  };
}

/** Creates the role for the Events from which a controller notifies a person. */
export function notifierRole(name: string): ManifestPart<ClusterRole> {
  return {
    comment: "For notifications; not needed without the setting notify and the setting notifyFile.",
    object: { metadata: { name: `${name}-notifications` }, rules: [allow("list watch", "core", "events")] },
  };
}

/** Creates the role for leader election with a Lease. */
export function leaseRole(name: string, namespace: string, lease: string): ManifestPart<Role> {
  return {
    comment: "For leader election; not needed with the setting leaderElect=false.",
    object: {
      metadata: { name, namespace },
      // RBAC cannot restrict create by name, because the name is not known at authorization.
      rules: [
        allow("create", "coordination.k8s.io", "leases"),
        allow("get update", "coordination.k8s.io", "leases", lease),
      ],
    },
  };
}

/** One permission that a controller needs. */
export interface NeededRight {
  /** The permission in words: `update certificatesigningrequests/status.certificates.k8s.io`. */
  readonly text: string;
  /** Any of these is enough, because the permission for a signer may be granted for its whole domain. */
  readonly anyOf: readonly ResourceAttributesSpec[];
  /**
   * Whether the controller works without it: never, without a feature such as Events, or if it has the permission for
   * another signer.
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

/** Describes the missing permissions. If those for all signers are missing, they have a single text. */
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
          need: isOptional(verb, plural) ? "optional" : "essential",
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
 * Reports whether a controller works without the permission. The optional ones are for Events, the API's CAs, the
 * published settings, the register, the published CAs of a signer, an existing Lease, and getting one CSR.
 */
function isOptional(verb: string, plural: string): boolean {
  return plural === "events" || plural === "configmaps" || plural === "issuedcertificates" ||
    plural === "clustertrustbundles" ||
    (plural === "leases" && verb === "create") ||
    (plural === "certificatesigningrequests" && verb === "get");
}

/** Creates a rule for resources. The core group, whose name is empty, is written `core`. */
export function allow(verbs: string, groups: string, resources: string, names?: string): PolicyRule {
  return {
    verbs: words(verbs),
    apiGroups: words(groups).map((group) => (group === "core" ? "" : group)),
    resources: words(resources),
    ...(names === undefined ? {} : { resourceNames: words(names) }),
  };
}

/** Creates a rule for non-resource paths. */
export function allowPaths(verbs: string, paths: string): PolicyRule {
  return { verbs: words(verbs), nonResourceURLs: words(paths) };
}

/** Creates the permission to approve requests for a signer. */
export function approve(signerName: string): PolicyRule {
  return allow("approve", "certificates.k8s.io", "signers", signerName);
}

/** The permission to report events in both API groups. */
export const EVENTS_RULE: PolicyRule = allow("create patch update", "core events.k8s.io", "events");

function words(text: string): readonly string[] {
  return text.split(" ");
}

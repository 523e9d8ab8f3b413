/**
 * Finds out who may request, approve and sign certificates at a cluster, by which RBAC binding, and which of these
 * rights let the holder become any node or an administrator. The rules are those of the admission plugins
 * `plugin/pkg/admission/certificates/{approval,signing}` and of the approver
 * `pkg/controller/certificates/approver/sarapprove.go`.
 */
import { matchesSigner } from "../../approval/rules/evaluate_policies.ts";
import { isBootstrapGroup } from "../../token/token_options.ts";
import type { ResourceAttributesSpec, SubjectAccessReviewSpec } from "../../kube/kinds/authorization_v1.ts";
import {
  CERTIFICATES_GROUP,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
} from "../../kube/kinds/constants.ts";
import { getName, SYSTEM_NAMESPACE } from "../../kube/meta.ts";
import type { ClusterRoleBinding, PolicyRule, RoleBinding, Subject } from "../../kube/kinds/rbac_v1.ts";
import {
  ANONYMOUS_USER,
  AUTHENTICATED_GROUP,
  CONTROLLER_MANAGER_USER,
  listAccountGroups,
  MASTERS_GROUP,
  SCHEDULER_USER,
  SERVICE_ACCOUNTS_GROUP,
  toAccountUsername,
  UNAUTHENTICATED_GROUP,
} from "../../kube/user.ts";
import { goQuote } from "../../lib/go_text.ts";
import { shellWord } from "../../lib/printable.ts";
import { createDefaultRbac, type RbacDefaults } from "../../rbac/default_roles.ts";
import { evaluateRbac, findRoleRules, type RbacObjects, ruleAllows } from "../../rbac/evaluate.ts";
import { type Fault, type Finding, reportOn } from "./finding.ts";

/** kubeadm's group of administrators (`cmd/kubeadm/app/constants`). */
const KUBEADM_ADMINS = "kubeadm:cluster-admins";
const ADMIN_ROLE = "cluster-admin";
const REQUESTS = "certificatesigningrequests";

/** The checks of rights, by the right that they check. */
const CHECKS = {
  request: "csr-create",
  approve: "csr-approve",
  sign: "csr-sign",
  nodeclient: "node-approval",
  selfnodeclient: "node-approval",
  token: "token-create",
  impersonate: "impersonation",
} as const;
type RightKind = keyof typeof CHECKS;

/** The right that a binding gives to a subject. */
export interface CertificateRight {
  readonly kind: RightKind;
  /** The signers of `approve` and `sign`, `*` for every signer; empty for the other rights. */
  readonly signerNames: readonly string[];
  readonly binding: ClusterRoleBinding | RoleBinding;
  readonly subject: Subject;
  /** The reviews that are all allowed if the subject has the right. */
  readonly reviews: readonly SubjectAccessReviewSpec[];
}

/**
 * Lists each right that a binding gives to a subject. Only the namespaced roles and bindings of `kube-system` are read.
 * Kubernetes' and tlsboot's own subjects are omitted.
 */
export function listCertificateRights(lists: RbacDefaults): readonly CertificateRight[] {
  const objects: RbacObjects = {
    clusterRoles: new Map(lists.clusterRoles.map((role) => [getName(role), role])),
    clusterRoleBindings: lists.clusterRoleBindings,
    roles: new Map(lists.roles.map((role) => [`${role.metadata.namespace ?? ""}/${getName(role)}`, role])),
    roleBindings: Map.groupBy(lists.roleBindings, ({ metadata }) => metadata.namespace ?? ""),
  };
  const bindings = [
    ...lists.clusterRoleBindings,
    ...lists.roleBindings.filter(({ metadata }) => metadata.namespace === SYSTEM_NAMESPACE),
  ];
  return bindings.flatMap((binding) => {
    const rules = findRoleRules(binding.roleRef, binding.metadata.namespace ?? "", objects) ?? [];
    const granted = listGranted(rules, binding.metadata.namespace === undefined);
    if (granted.length === 0) return [];
    return (binding.subjects ?? []).filter((subject) => !isExpected(binding, subject)).flatMap((subject) =>
      granted.flatMap(({ kind, signerNames }): readonly CertificateRight[] => {
        const reviews = listPermissions(kind, signerNames).map((question) =>
          toReview(question, subject, binding, objects)
        );
        if (reviews.includes(undefined)) return [];
        return [{ kind, signerNames, binding, subject, reviews: reviews.filter((review) => review !== undefined) }];
      })
    );
  });
}

interface GrantedRight {
  readonly kind: RightKind;
  readonly signerNames: readonly string[];
}

function listGranted(rules: readonly PolicyRule[], isClusterWide: boolean): readonly GrantedRight[] {
  const found: GrantedRight[] = [];
  const allows = (attributes: ResourceAttributesSpec): boolean => rules.some((rule) => isCovered(attributes, rule));
  if (isClusterWide) {
    for (const kind of ["approve", "sign"] as const) {
      const names = rules.flatMap((rule) => {
        const { resourceNames = [] } = rule;
        const question = { verb: kind, group: CERTIFICATES_GROUP, resource: "signers", name: resourceNames[0] ?? "" };
        if (!isCovered(question, rule)) return [];
        return resourceNames.length === 0 ? ["*"] : resourceNames;
      });
      if (names.length > 0) {
        found.push({ kind, signerNames: names.includes("*") ? ["*"] : [...new Set(names)].sort() });
      }
    }
    for (const kind of ["nodeclient", "selfnodeclient", "request", "impersonate"] as const) {
      if (listPermissions(kind, []).every(([first]) => first !== undefined && allows(first))) {
        found.push({ kind, signerNames: [] });
      }
    }
  }
  if (allows(CREATE_SECRETS)) found.push({ kind: "token", signerNames: [] });
  return found;
}

const CREATE_SECRETS = { verb: "create", group: "", resource: "secrets", namespace: SYSTEM_NAMESPACE };

/** Lists the permissions that make up a right. Each of them has alternatives, one of which is enough. */
function listPermissions(
  kind: RightKind,
  signerNames: readonly string[],
): readonly (readonly ResourceAttributesSpec[])[] {
  const request = { group: CERTIFICATES_GROUP, resource: REQUESTS };
  switch (kind) {
    case "request":
      return [[{ ...request, verb: "create" }]];
    case "approve":
    case "sign": {
      const subresource = kind === "approve" ? "approval" : "status";
      return [
        ...signerNames.map((signer) => [{
          verb: kind,
          group: CERTIFICATES_GROUP,
          resource: "signers",
          name: signer === "*" ? KUBE_APISERVER_CLIENT_SIGNER : signer,
        }]),
        ["update", "patch"].map((verb) => ({ ...request, verb, subresource })),
      ];
    }
    case "nodeclient":
    case "selfnodeclient":
      return [[{ ...request, verb: "create", subresource: kind }]];
    case "token":
      return [[CREATE_SECRETS]];
    case "impersonate":
      return [[{ verb: "impersonate", group: "", resource: "users" }]];
  }
}

/** Returns the review of the alternative that RBAC allows; undefined when it allows none. */
function toReview(
  alternatives: readonly ResourceAttributesSpec[],
  subject: Subject,
  binding: ClusterRoleBinding | RoleBinding,
  objects: RbacObjects,
): SubjectAccessReviewSpec | undefined {
  const user = toUser(subject, binding.metadata.namespace ?? "");
  const allowed = alternatives.find((alternative) =>
    evaluateRbac(
      { username: user.user ?? "", uid: "", groups: user.groups ?? [], extra: {} },
      toAttributes(alternative),
      objects,
    )
      .kind === "allow"
  );
  return allowed === undefined ? undefined : { ...user, resourceAttributes: allowed };
}

function toUser({ kind, name, namespace }: Subject, bindingNamespace: string): SubjectAccessReviewSpec {
  if (kind === "Group") {
    return { groups: name === UNAUTHENTICATED_GROUP ? [name] : [...new Set([name, AUTHENTICATED_GROUP])] };
  }
  if (kind === "User") {
    return { user: name, groups: [name === ANONYMOUS_USER ? UNAUTHENTICATED_GROUP : AUTHENTICATED_GROUP] };
  }
  const account = namespace ?? bindingNamespace;
  return { user: toAccountUsername(account, name), groups: [...listAccountGroups(account), AUTHENTICATED_GROUP] };
}

function toAttributes(spec: ResourceAttributesSpec) {
  const { verb = "", group = "", resource = "", subresource = "", name = "", namespace = "" } = spec;
  return { kind: "resource", verb, apiGroup: group, apiVersion: "v1", resource, subresource, name, namespace } as const;
}

function isCovered(spec: ResourceAttributesSpec, rule: PolicyRule): boolean {
  return ruleAllows(toAttributes(spec), rule);
}

/** The subjects of each default binding of Kubernetes, by the name of the binding and of its role. */
const DEFAULT_SUBJECTS: ReadonlyMap<string, readonly Subject[]> = new Map(
  (({ clusterRoleBindings, roleBindings }) => [...clusterRoleBindings, ...roleBindings])(createDefaultRbac())
    .map((binding) => [toBindingKey(binding), binding.subjects ?? []]),
);

function toBindingKey({ metadata, roleRef }: ClusterRoleBinding | RoleBinding): string {
  return [metadata.namespace ?? "", metadata.name ?? "", roleRef.kind, roleRef.name].join(" ");
}

/** Reports whether Kubernetes, kubeadm or tlsboot itself gives the right to the subject. */
function isExpected(binding: ClusterRoleBinding | RoleBinding, subject: Subject): boolean {
  const { kind, name, namespace } = subject;
  if (kind === "Group" && (name === MASTERS_GROUP || name === KUBEADM_ADMINS)) return true;
  if (kind === "User" && [CONTROLLER_MANAGER_USER, SCHEDULER_USER].includes(name)) return true;
  const isSystemAccount = kind === "ServiceAccount" && namespace === SYSTEM_NAMESPACE;
  if (isSystemAccount && getName(binding).startsWith("tlsboot:") && binding.roleRef.name.startsWith("tlsboot:")) {
    return true;
  }
  return DEFAULT_SUBJECTS.get(toBindingKey(binding))?.some((known) =>
    known.kind === kind && known.name === name && (known.namespace ?? "") === (namespace ?? "")
  ) ?? false;
}

/** Reports who has rights over certificates. `kubectl` is the beginning of the commands that remove a binding. */
export function reportCertificateRights(
  rights: readonly CertificateRight[],
  { target, kubectl }: { readonly target: string; readonly kubectl: string },
): readonly Finding[] {
  const faults = new Map<string, Fault[]>();
  const dangerous = rights.filter((right) => findDanger(right) !== undefined);
  for (const [binding, all] of Map.groupBy(dangerous, (right) => right.binding)) {
    const [worst] = [...all].sort((a, b) => BY_DANGER.indexOf(a.kind) - BY_DANGER.indexOf(b.kind));
    if (worst === undefined) continue;
    const subjects = [...new Set(all.map(({ subject }) => subject))];
    const action = binding.roleRef.name === ADMIN_ROLE
      ? "do everything"
      : [...new Set(all.map(describeRight))].join(", ");
    const check = CHECKS[worst.kind];
    faults.set(check, [...faults.get(check) ?? [], {
      severity: subjects.some(isWideSubject) ? "error" : "warning",
      message: `${subjects.map(describeSubject).join(" and ")} can ${action}, and so ${findDanger(worst)}, through ` +
        describeBinding(binding),
      fix: `${kubectl} ${formatRemoval(binding, subjects)}`,
    }]);
  }
  const report = reportOn(target);
  return [...new Set(Object.values(CHECKS))].flatMap((check) => {
    const harmless = rights.filter((right) =>
      CHECKS[right.kind] === check && findDanger(right) === undefined &&
      // An administrator can do everything, so only that is reported.
      (right.kind === "approve" || right.binding.roleRef.name !== ADMIN_ROLE)
    );
    const known = faults.get(check) ?? [];
    return [
      ...(known.length === 0 ? [] : report.check(check, known)),
      ...(known.length > 0 && harmless.length === 0 ? [] : report.check(check, [], describeHolders(check, harmless))),
    ];
  });
}

/** The rights, the most dangerous first. */
const BY_DANGER: readonly RightKind[] = [
  "approve",
  "impersonate",
  "token",
  "sign",
  "nodeclient",
  "selfnodeclient",
  "request",
];

/** Returns what the holder of a right can achieve, as the end of a sentence; undefined for a harmless right. */
function findDanger(right: CertificateRight): string | undefined {
  const { kind, subject, signerNames, binding } = right;
  const isWide = isWideSubject(subject);
  // The name of the role is clear, and the binding was made for an administrator.
  if (binding.roleRef.name === ADMIN_ROLE && !isWide) return undefined;
  switch (kind) {
    case "approve":
    case "sign": {
      const who = signerNames.some((name) => covers(name, KUBE_APISERVER_CLIENT_SIGNER))
        ? "an administrator"
        : signerNames.some((name) => covers(name, KUBE_APISERVER_CLIENT_KUBELET_SIGNER))
        ? "any node"
        : undefined;
      if (who === undefined) return undefined;
      // A signature also needs the key of the CA, but no approver checks the certificate that the holder writes into
      // the status.
      return kind === "approve" ? `become ${who}` : `choose the certificate that ${who} gets`;
    }
    case "token":
      return "become any node with a bootstrap token, or an administrator with a service account token";
    case "impersonate":
      return "become an administrator";
    case "nodeclient":
      if (subject.kind === "Group" && (subject.name === "system:bootstrappers" || isBootstrapGroup(subject.name))) {
        return undefined;
      }
      return "become any node";
    case "selfnodeclient":
      return isWide ? "become a node" : undefined;
    case "request":
      return subject.name === UNAUTHENTICATED_GROUP || subject.name === ANONYMOUS_USER
        ? "fill the server with requests without any credential"
        : undefined;
  }
}

function covers(pattern: string, signerName: string): boolean {
  return pattern === "*" || matchesSigner(signerName, pattern);
}

function isWideSubject({ kind, name }: Subject): boolean {
  if (kind === "User") return name === ANONYMOUS_USER;
  return kind === "Group" && ([AUTHENTICATED_GROUP, UNAUTHENTICATED_GROUP, SERVICE_ACCOUNTS_GROUP].includes(name) ||
    name.startsWith(`${SERVICE_ACCOUNTS_GROUP}:`));
}

function describeRight({ kind, signerNames }: CertificateRight): string {
  const signers = signerNames.includes("*") ? "every signer" : signerNames.join(", ");
  switch (kind) {
    case "request":
      return "request certificates";
    case "approve":
      return `approve requests for ${signers}`;
    case "sign":
      return `sign for ${signers}`;
    case "token":
      return `create Secrets in ${SYSTEM_NAMESPACE}`;
    case "impersonate":
      return "act as any user";
    case "nodeclient":
      return "get certificates of any node without an approver";
    case "selfnodeclient":
      return "renew a node's certificate without an approver";
  }
}

/** The actions of the checks, for the message that no unexpected subject has the right. */
const ACTIONS: Readonly<Record<(typeof CHECKS)[RightKind], string>> = {
  "csr-create": "request certificates",
  "csr-approve": "approve requests",
  "csr-sign": "sign",
  "node-approval": "have requests approved at once",
  impersonation: "act as any user",
  "token-create": `create Secrets in ${SYSTEM_NAMESPACE}`,
};

function describeHolders(check: (typeof CHECKS)[RightKind], rights: readonly CertificateRight[]): string {
  if (rights.length === 0) return `only Kubernetes, tlsboot and administrators can ${ACTIONS[check]}`;
  const texts = rights.map((right) => {
    const { subject, binding } = right;
    const what = binding.roleRef.name === ADMIN_ROLE ? "do everything" : describeRight(right);
    return `${describeSubject(subject)} can ${what} through ${describeBinding(binding)}`;
  });
  return [...new Set(texts)].join("; ");
}

/** Describes a subject as `Group "dev"`. */
function describeSubject({ kind, name, namespace }: Subject): string {
  return kind === "ServiceAccount" ? `${kind} ${goQuote(`${namespace ?? ""}/${name}`)}` : `${kind} ${goQuote(name)}`;
}

function describeBinding({ metadata, roleRef }: ClusterRoleBinding | RoleBinding): string {
  const kind = metadata.namespace === undefined ? "ClusterRoleBinding" : "RoleBinding";
  return `${kind} ${goQuote(metadata.name ?? "")} of ${roleRef.kind} ${goQuote(roleRef.name)}`;
}

/** Returns the arguments of kubectl that delete a binding, or remove some of its subjects when others remain. */
function formatRemoval(binding: ClusterRoleBinding | RoleBinding, removed: readonly Subject[]): string {
  const { namespace, name = "" } = binding.metadata;
  const kind = namespace === undefined ? "clusterrolebinding" : `--namespace ${shellWord(namespace)} rolebinding`;
  const subjects = binding.subjects ?? [];
  if (subjects.every((subject) => removed.includes(subject))) return `delete ${kind} ${shellWord(name)}`;
  // The last subject is removed first, so the positions of the others stay the same. The `test` operations make the
  // command fail when the binding has changed.
  const steps = subjects.flatMap((subject, index) =>
    removed.includes(subject)
      ? [{ op: "test", path: `/subjects/${index}/name`, value: subject.name }, {
        op: "remove",
        path: `/subjects/${index}`,
      }]
      : []
  );
  const pairs = [];
  for (let end = steps.length; end > 0; end -= 2) pairs.push(...steps.slice(end - 2, end));
  return `patch ${kind} ${shellWord(name)} --type=json --patch ${shellWord(JSON.stringify(pairs))}`;
}

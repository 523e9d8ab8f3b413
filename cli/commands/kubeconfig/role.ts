/** Gives a person a role at any Kubernetes API, with the rights of the caller. */
import type { ApiClient } from "../../../client/objects/api.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import { clusterRoleBindingKind, clusterRoleKind, roleBindingKind, roleKind } from "../../../core/kube/kinds/mod.ts";
import { getName } from "../../../core/kube/meta.ts";
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from "../../../core/kube/kinds/rbac_v1.ts";
import { formatApiVersion, formatCollectionPath, formatObjectPath, type Kind } from "../../../core/kube/schema.ts";
import { line, shellWord } from "../../../core/lib/printable.ts";
import { PERSON_ROLES, type PersonRole } from "./flags.ts";
import {
  createPersonBinding,
  createPersonRole,
  createTokenBinding,
  createTokenRole,
  describePersonRole,
  toBindingName,
  toRoleName,
} from "./person_roles.ts";
import { planReconcile } from "../../../core/rbac/reconcile.ts";
import { warn } from "../../framework/report.ts";
import type { Tools } from "../../io.ts";
import { readApproverSettings } from "../../../client/admin/published_settings.ts";
import { servesRevocations } from "../../../client/admin/revocations.ts";
import { findObject } from "../../../client/admin/records.ts";

type RbacObject = ClusterRole | Role | ClusterRoleBinding | RoleBinding;

/** A person and the role to give. */
interface RoleGrant {
  readonly person: string;
  readonly role: PersonRole;
  /** Custom signers that are added to those that the approver has published. */
  readonly signerNames: readonly string[];
}

/** Shows what a role allows, creates it when it is missing, and binds it to the person. */
export async function grantRole(grant: RoleGrant, api: ApiClient, tools: Tools): Promise<void> {
  const { signal } = tools;
  const { person, role } = grant;
  const customSigners = await listCustomSigners(grant, api, signal);
  tools.stderr.write(
    line`${person} gets the role ${toRoleName(role)}, and may then\n` +
      describePersonRole(role, customSigners).map((text) => line`  ${text}\n`).join(""),
  );
  if (role === "operator" && !await servesRevocations(api, signal)) {
    warn(
      "in a cluster, a user who may create and read Secrets in kube-system can become any service account there: such " +
        "an operator is effectively an administrator",
      tools,
    );
  }
  const objects: readonly (readonly [Kind, RbacObject])[] = [
    [clusterRoleKind, createPersonRole(role, customSigners)],
    ...(role === "operator" ? [[roleKind, createTokenRole()] as const] : []),
    [clusterRoleBindingKind, createPersonBinding(role, person)],
    ...(role === "operator" ? [[roleBindingKind, createTokenBinding(person)] as const] : []),
  ];
  for (const [kind, object] of objects) await ensureObject(kind, object, grant, api, signal);
  await reportOtherRoles(grant, api, tools);
}

/** Lists the custom signers of the flag, and those that run with the approver. */
async function listCustomSigners(
  { role, signerNames }: RoleGrant,
  api: ApiClient,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (role === "viewer") return [];
  const { signers = [] } = await readApproverSettings(api, signal);
  return [...new Set([...signers.filter((name) => !name.startsWith("kubernetes.io/")), ...signerNames])].sort();
}

/** Creates an object, or adds what an existing one lacks, as a server does with the default roles of Kubernetes. */
async function ensureObject(
  kind: Kind,
  wanted: RbacObject,
  { person, role }: RoleGrant,
  api: ApiClient,
  signal: AbortSignal,
): Promise<void> {
  const { namespace } = wanted.metadata;
  const path = formatObjectPath(kind, getName(wanted), namespace);
  const collection = formatCollectionPath(kind, namespace);
  const withType = (object: RbacObject): object => ({ apiVersion: formatApiVersion(kind), kind: kind.kind, ...object });
  try {
    const plan = planReconcile(await findObject<RbacObject>(api, path, signal), wanted);
    switch (plan.kind) {
      case "none":
        return;
      case "create":
        return void await api.requestJson({ method: "POST", path: collection, body: withType(plan.object) }, signal);
      case "update":
        return void await api.requestJson({ method: "PUT", path, body: withType(plan.object) }, signal);
      case "recreate":
        throw new AppError(
          "invalid",
          `cannot give ${person} the role: ${kind.kind} "${getName(wanted)}" is for another role`,
          { hint: `delete it first: kubectl delete ${kind.singular} ${shellWord(getName(wanted))}` },
        );
    }
  } catch (error) {
    if (!isAppError(error, "access_denied")) throw error;
    throw new AppError("access_denied", `cannot give ${person} the role ${toRoleName(role)}: ${error.message}`, {
      cause: error,
      hint:
        "only a user who may do all of this, such as an administrator, may give it to another: use their kubeconfig",
    });
  }
}

/** Reports the roles that the person has from earlier runs, because a new role does not replace them. */
async function reportOtherRoles({ person, role }: RoleGrant, api: ApiClient, tools: Tools): Promise<void> {
  for (const other of PERSON_ROLES.filter((item) => item !== role)) {
    const name = toBindingName(other, person);
    if (await findObject(api, formatObjectPath(clusterRoleBindingKind, name), tools.signal) === undefined) continue;
    const tokens = other === "operator" ? `; kubectl delete rolebinding -n kube-system ${shellWord(name)}` : "";
    tools.stderr.write(
      line`${person} has the role ${toRoleName(other)} too; to take it away: kubectl delete clusterrolebinding ${
        shellWord(name)
      }${tokens}\n`,
    );
  }
}

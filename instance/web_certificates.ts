/** The parts of the setting `webDomain`: its scope, the profile of the signer, the policy, and the rights. */
import {
  createWebPolicy,
  createWebPolicyText,
  createWebProfile,
  listScopeWarnings,
  WEB_CLUSTER_ROLE,
  WEB_GROUP,
  WEB_ROLE,
  WEB_SIGNER,
  WEB_TOKEN_GROUP,
  type WebScope,
} from "../core/approval/rules/web_certificates.ts";
import { RBAC_GROUP } from "../core/kube/kinds/rbac_v1.ts";
import type { Logger } from "../core/ports.ts";
import { type BootstrapObject, createRbacObject } from "../server/bootstrap_objects.ts";
import { exactRole } from "./instance_rbac.ts";
import type { PolicyWithText } from "./controllers/policy_files.ts";
import type { SignerChoice } from "./controllers/signer_profiles.ts";
import { AppError } from "../core/errors.ts";
import { type InstanceSettings, parseSetting } from "./settings.ts";
import { parseWebDomain, parseWebNetwork } from "./web_names.ts";
import { toGroupSubject } from "../core/rbac/manifest.ts";

/** Reads the scope of the settings, and logs its dangers; undefined without a domain. AppError `usage`. */
export function readWebScope(
  { webDomain: domains, webNetwork: networks }: Pick<InstanceSettings, "webDomain" | "webNetwork">,
  logger: Pick<Logger, "warn">,
): WebScope | undefined {
  if (domains.length === 0) return undefined;
  const scope = {
    domains: [...new Set(parseSetting("webDomain", domains, parseWebDomain))],
    networks: [...new Set(parseSetting("webNetwork", networks, parseWebNetwork))],
  };
  for (const { message, fields } of listScopeWarnings(scope)) logger.warn(message, fields);
  return scope;
}

/** Returns the policies that belong to a scope. */
export function listWebPolicies(scope: WebScope | undefined): readonly PolicyWithText[] {
  return scope === undefined ? [] : [{ policy: createWebPolicy(scope), text: createWebPolicyText(scope) }];
}

/** Adds the signer of a scope to the custom signers. AppError `usage` when a profile is for it too. */
export function withWebSigner({ signerNames, profiles }: SignerChoice, scope: WebScope | undefined): SignerChoice {
  if (scope === undefined) return { signerNames, profiles };
  if (signerNames.includes(WEB_SIGNER)) {
    throw new AppError("usage", `the setting profile: "${WEB_SIGNER}" is the signer of the setting webDomain`, {
      hint: "choose another signer name",
    });
  }
  const profile = createWebProfile(scope);
  const source = { current: () => Promise.resolve(profile) };
  return { signerNames: [...signerNames, WEB_SIGNER], profiles: new Map([...profiles, [WEB_SIGNER, source]]) };
}

/** Creates the role of web servers and its binding to their tokens and identities. */
export function webObjects(scope: WebScope | undefined): readonly BootstrapObject[] {
  if (scope === undefined) return [];
  return [
    exactRole(WEB_CLUSTER_ROLE),
    createRbacObject("clusterrolebindings", {
      metadata: { name: WEB_ROLE },
      subjects: [toGroupSubject(WEB_TOKEN_GROUP), toGroupSubject(WEB_GROUP)],
      roleRef: { apiGroup: RBAC_GROUP, kind: "ClusterRole", name: WEB_ROLE },
    }),
  ];
}

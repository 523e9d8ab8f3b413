/**
 * An instance with everything that `up` runs: the API server, the controllers, `cluster-info`, `bootstrap.kubeconfig` with
 * a valid token, and with the setting `webDomain` the signer, the policy and the rights of web servers.
 */
import { listProofKinds } from "../core/approval/evidence/inventory.ts";
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
import type { CertificateSigningRequest } from "../core/kube/kinds/certificates_v1.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER, LEGACY_UNKNOWN_SIGNER } from "../core/kube/kinds/constants.ts";
import { BUILTIN_SIGNERS } from "../core/signing/profile.ts";
import { authorityPaths, getSignerPurpose } from "./authority/layout.ts";
import {
  autoApproveBinding,
  customSignerObjects,
  exactRole,
  initialBindings,
  offeredRoles,
  ROOT_USER,
} from "./instance_rbac.ts";
import {
  createSecretStore,
  createTrustLookup,
  type InProcessSettings,
  runElected,
  runInProcess,
  SHARED_STORE_ELECTION,
  type SigningSettings,
  UP_SIGNERS,
} from "./controllers/controllers.ts";
import type { InstanceDeps } from "./deps.ts";
import { type Instance, startInstance } from "./instance.ts";
import { ensureBootstrapKubeconfig, ensureClusterInfo, removeSharedToken } from "./joining.ts";
import { Parts, renewEachMinute, runInBackground } from "./parts/parts.ts";
import { followPolicies, type PolicyWithText, withInventoryOnly } from "./controllers/policy_files.ts";
import { openSignerProfiles, type SignerChoice } from "./controllers/signer_profiles.ts";
import { createEndingSearch, openNotifications } from "./notifications.ts";
import { USER_AGENT } from "../core/version.ts";
import { allowsMlDsa } from "./feature_gates.ts";
import { AppError } from "../core/errors.ts";
import { type InstanceSettings, parseSetting, parseWebDomain, parseWebNetwork } from "./settings.ts";
import { approverObjects, createPolicyApproval, tokenApproverObjects } from "./controllers/run_approver.ts";
import {
  namesSharedCa,
  namesSigningCa,
  openInstanceCas,
  openSigningCas,
  type SigningCas,
  signingDurationSeconds,
} from "./controllers/signer_cas.ts";
import { getName } from "../core/kube/meta.ts";
import { getCsrPhase } from "../core/request/phase.ts";
import type { Register, Storage } from "../server/mod.ts";
import { certificateSigningRequests, toKeyPrefix } from "../server/registry/mod.ts";
import { RBAC_GROUP } from "../core/kube/kinds/rbac_v1.ts";
import type { Logger } from "../core/ports.ts";
import { type BootstrapObject, createRbacObject } from "../server/bootstrap_objects.ts";
import { toGroupSubject } from "../core/rbac/manifest.ts";

/** The parts that a program may change, in addition to the settings. */
export interface FullOptions {
  /** Runs after the API server has started and before the signers open their CAs. */
  readonly onServing?: (instance: Instance) => Promise<void>;
  /** The controllers that do not run. */
  readonly without?: readonly ("approver" | "signer")[];
}

/**
 * Starts all parts. They end when the signal aborts or the instance is disposed. `lost` also aborts when a controller
 * fails. AppError `usage`, and AppError with a hint for faults of files.
 */
export async function startFullInstance(
  settings: InstanceSettings,
  deps: InstanceDeps,
  signal: AbortSignal,
  { onServing, without = [] }: FullOptions = {},
): Promise<Instance> {
  const web = readWebScope(settings, deps.logger);
  const custom = withWebSigner(await openSignerProfiles(settings, deps), web);
  assertCustom(custom.signerNames);
  const sender = await openNotifications(settings, deps);
  const policies = await followPolicies(withInventoryOnly(settings), deps, {
    builtIn: listWebPolicies(web),
    isInventoryUsed: (inventory) => listProofKinds(inventory).length > 0,
  });
  await using starting = new Parts();
  let served: readonly string[] = [...UP_SIGNERS, ...custom.signerNames];
  const instance = starting.add(
    await startInstance(settings, deps, (isNew) => [
      ...(isNew ? initialBindings() : []),
      ...offeredRoles(),
      ...(settings.autoApprove ? [autoApproveBinding()] : []),
      ...customSignerObjects(custom.signerNames),
      ...webObjects(web),
      ...(policies === undefined ? [] : approverObjects(policies.current().policies)),
      ...tokenApproverObjects(policies !== undefined),
    ], {
      customSigners: custom.signerNames,
      servedSigners: () => served,
      inventory: policies?.current().inventory &&
        { current: () => policies.current().inventory!, refresh: policies.refresh },
    }),
  );
  await onServing?.(instance);
  const { signing, customSigning } = await openSigning(instance, settings, custom, deps);
  served = [...signing.signerNames, ...customSigning?.signerNames ?? []];
  deps.keys.passphrases.stopPrompting();

  const failure = new AbortController();
  const lost = AbortSignal.any([instance.lost, failure.signal]);
  const until = AbortSignal.any([signal, lost]);
  const { authorities, rotations } = instance;
  const getCluster = () => ({ server: instance.url, caPem: authorities.trustPem });
  await ensureClusterInfo(instance, getCluster(), deps, signal);
  rotations.onAdopted(() => ensureClusterInfo(instance, getCluster(), deps, until));
  if (settings.enableBootstrapTokenAuth) {
    const secrets = createSecretStore(instance.server.transportFor(ROOT_USER, `${USER_AGENT} up`), deps);
    let { sharedToken } = settings;
    let isRemoved = false;
    const renew = async () => {
      const { bootstrapKubeconfig, webKubeconfig } = instance.dir;
      // Machines that prove their identity need no shared token. Only a restart creates one again, because an
      // inventory may lose its proofs by mistake.
      sharedToken &&= instance.listExpectedProofs().length === 0;
      if (sharedToken) {
        await ensureBootstrapKubeconfig({ path: bootstrapKubeconfig }, secrets, getCluster(), deps, until);
      } else if (!isRemoved) {
        await removeSharedToken(instance, secrets, deps, until);
        isRemoved = true;
      }
      if (web === undefined) return;
      const target = { path: webKubeconfig, groups: [WEB_TOKEN_GROUP] };
      await ensureBootstrapKubeconfig(target, secrets, getCluster(), deps, until);
    };
    await renew();
    starting.add({ renew });
    rotations.onAdopted(renew);
  }

  const watched = { ...deps, metrics: instance.controllerMetrics };
  const controllers = {
    ...signing,
    customSigning,
    trust: {
      content: () => ({ trustBundle: authorities.trustPem, annotations: rotations.listAnnotations() }),
      onChange: (listener: () => void) => authorities.onChange(listener),
    },
    storage: instance.storage,
    register: instance.register,
    contents: instance.contents,
    without,
    cleaning: toCleaning(settings),
    approval: policies === undefined ? undefined : createPolicyApproval(instance, policies, deps),
    notifications: sender && { sender, server: instance.url, findEnding: createEndingSearch(instance, deps) },
  };
  const runControllers = (life: AbortSignal) => runInProcess(instance.server, controllers, watched, life);
  const onFailure = (error: unknown): void => failure.abort(error);
  starting.add(runInBackground(
    (life) =>
      instance.isShared
        ? runElected(
          instance.server.transportFor(ROOT_USER, USER_AGENT),
          SHARED_STORE_ELECTION,
          watched,
          runControllers,
          life,
        )
        : runControllers(life),
    { until, onFailure },
  ));
  // The first check is a minute after the start.
  starting.add(runInBackground((life) => renewEachMinute(() => parts.renew(), deps, life), { until, onFailure }));
  const parts = starting.move();
  return {
    ...instance,
    lost,
    renew: () => parts.renew(),
    [Symbol.asyncDispose]: () => parts[Symbol.asyncDispose](),
  };
}

function toCleaning(settings: InstanceSettings): NonNullable<InProcessSettings["cleaning"]> {
  return {
    intervalMs: settings.gcInterval,
    times: {
      pendingMs: settings.gcPending,
      unissuedMs: settings.gcUnissued,
      issuedMs: settings.gcIssued,
      deniedMs: settings.gcDenied,
      failedMs: settings.gcFailed,
    },
  };
}

/** Throws AppError `usage` for a built-in signer: `up` runs them anyway, except `legacy-unknown`, which guarantees nothing. */
function assertCustom(signerNames: readonly string[]): void {
  const builtin = signerNames.find((name) => BUILTIN_SIGNERS.has(name));
  if (builtin === undefined) return;
  const hint = builtin === LEGACY_UNKNOWN_SIGNER
    ? "run it separately with tlsboot signer"
    : "omit it, because up always runs it";
  throw new AppError("usage", `the setting signer: "${builtin}" is not a custom signer`, { hint });
}

/** Adds the CRLs of the CAs for single purposes; the instance has those of the other CAs. */
async function addSplitCrls({ authorities, crls, dir }: Instance, own: SigningCas): Promise<void> {
  if (!authorities.purposes.includes("client")) return;
  const signers = new Map(own.signerNames.map((name) => [getSignerPurpose(name), name]));
  for (const [purpose, signerName] of signers) {
    if (purpose !== "client") await crls.add(authorityPaths(dir.root, purpose), () => own.authorities(signerName));
  }
}

/**
 * Opens the CAs in the settings, or the instance's own. Custom signers use the CA for all signers, or the instance's
 * own if each of Kubernetes' signers has its own CA.
 */
async function openSigning(
  instance: Instance,
  settings: InstanceSettings,
  custom: SignerChoice,
  deps: InstanceDeps,
): Promise<{ readonly signing: SigningSettings; readonly customSigning: SigningSettings | undefined }> {
  const caDeps = { ...deps, crlUrl: settings.crlUrl, version: () => instance.authorities.version };
  const own = await openInstanceCas(
    instance.dir.root,
    [...(namesSigningCa(settings) ? [] : UP_SIGNERS), ...(namesSharedCa(settings) ? [] : custom.signerNames)],
    caDeps,
  );
  await addSplitCrls(instance, own);
  const cas = namesSigningCa(settings) ? await openSigningCas(settings, [], caDeps) : own;
  const rest = {
    signingDurationSeconds: signingDurationSeconds(settings, deps.logger),
    allowMlDsa: allowsMlDsa(settings.featureGates),
    isTrustedForClients: createTrustLookup(instance.server),
  };
  // A CA is recorded before its first signature, even if its file changes later.
  const record = (find: SigningSettings["authorities"]): SigningSettings["authorities"] => async (signerName) => {
    const authority = await find(signerName);
    if (authority !== undefined) await instance.recordAuthority(authority);
    return authority;
  };
  const signing = {
    ...cas,
    ...rest,
    authorities: record(cas.authorities),
    signerNames: cas.signerNames.filter((name) => UP_SIGNERS.includes(name)),
  };
  if (custom.signerNames.length === 0) return { signing, customSigning: undefined };
  const customCas = namesSharedCa(settings) ? await openSigningCas(settings, custom.signerNames, caDeps) : own;
  return { signing, customSigning: { ...customCas, ...rest, ...custom, authorities: record(customCas.authorities) } };
}

/** The facts at the start that determine the administrator's next step. */
export interface Situation {
  /** The names of the pending requests, in byte order. */
  readonly pending: readonly string[];
  /** Whether the register has a client certificate of a node. */
  readonly hasMachines: boolean;
}

/** Reads the situation at the start. */
export async function readSituation(
  { storage, register }: { readonly storage: Storage; readonly register: Pick<Register, "index"> },
): Promise<Situation> {
  const { items } = await storage.list(toKeyPrefix(certificateSigningRequests, ""));
  const requests = items.map(({ object }) => object as CertificateSigningRequest);
  return {
    pending: requests.filter((csr) => getCsrPhase(csr).kind === "pending").map(getName),
    hasMachines: (register.index.newest.get(KUBE_APISERVER_CLIENT_KUBELET_SIGNER)?.size ?? 0) > 0,
  };
}

/** Reads the scope from the settings, and logs warnings about it; undefined without a domain. AppError `usage`. */
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
function listWebPolicies(scope: WebScope | undefined): readonly PolicyWithText[] {
  return scope === undefined ? [] : [{ policy: createWebPolicy(scope), text: createWebPolicyText(scope) }];
}

/** Adds the signer of a scope to the custom signers. AppError `usage` when a profile is for it too. */
function withWebSigner({ signerNames, profiles }: SignerChoice, scope: WebScope | undefined): SignerChoice {
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
function webObjects(scope: WebScope | undefined): readonly BootstrapObject[] {
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

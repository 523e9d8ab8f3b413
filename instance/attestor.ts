/**
 * The attestor of a Kubernetes cluster: an API server in memory that exchanges proofs of identity for the cluster's
 * bootstrap tokens. It serves only `cluster-info` and node attestations. Its replicas share their keys in a Secret of
 * the cluster.
 */
import { SYSTEM_NAMESPACE } from "../core/kube/meta.ts";
import { Buffer } from "node:buffer";
import { isIPv6 } from "node:net";
import { createAccessReviewSpec } from "../core/approval/recognizers.ts";
import { createSealingKey, type SealingKey } from "../core/attestation/exchange.ts";
import { AppError, isAppError } from "../core/errors.ts";
import type { SubjectAccessReview } from "../core/kube/kinds/authorization_v1.ts";
import type { ConfigMap, Event, SecretObject } from "../core/kube/kinds/core_v1.ts";
import {
  clusterRoleBindingKind,
  configMapKind,
  eventKind,
  secretKind,
  subjectAccessReviewKind,
} from "../core/kube/kinds/mod.ts";
import type { ResolvedCluster } from "../core/kube/kubeconfig/kubeconfig.ts";
import { AUTHENTICATED_GROUP, BOOTSTRAP_USER_PREFIX, BOOTSTRAPPERS_GROUP } from "../core/kube/user.ts";
import { decodeBase64, encodeBase64 } from "../core/lib/encodings.ts";
import { DAY_MS } from "../core/lib/duration.ts";
import { escapeControls } from "../core/lib/printable.ts";
import { type Authority, createAuthority, parseAuthority } from "../core/pki/authority/authority.ts";
import { SERIAL_BYTES } from "../core/pki/authority/issue.ts";
import { findRenewalReason } from "../core/pki/authority/serving_certificate.ts";
import { generatePrivateKey } from "../core/pki/keys/keys.ts";
import { type PublicKeyPin, publicKeyPin } from "../core/pki/keys/key_names.ts";
import type { ObjectStore, Transport } from "../core/ports.ts";
import { BACKDATE_MS } from "../core/signing/profile.ts";
import {
  CLUSTER_INFO_KUBECONFIG_KEY,
  CLUSTER_INFO_NAME,
  CLUSTER_INFO_NAMESPACE,
  createClusterInfoRbac,
  parseClusterInfo,
  type PublishedCluster,
} from "../core/token/cluster_info.ts";
import { tryUntilDone } from "../client/discover_cluster.ts";
import { postReview } from "../client/objects/access_reviews.ts";
import { createApiClient } from "../client/objects/api.ts";
import { createObjectStore } from "../client/objects/object_store.ts";
import { readCa } from "../client/transport/connect.ts";
import { createRbacObject } from "../server/bootstrap_objects.ts";
import { createMemoryStorage, type MetricsRegistry } from "../server/mod.ts";
import { createExpiryMetrics } from "../server/metrics/registry.ts";
import type { InstanceDeps } from "./deps.ts";
import { attesterObjects } from "./instance_rbac.ts";
import { ensureClusterInfo } from "./joining.ts";
import { recordServingExpiry, startApiServer, watchCaExpiry } from "./parts/api_server.ts";
import { type FollowedInventory, openAttestation, SEALING_SECRET_BYTES } from "./parts/attestation.ts";
import { Parts, renewEachMinute, runInBackground } from "./parts/parts.ts";
import { parseLeaf } from "./parts/register.ts";
import { findHost, issueServing, listPermittedNames } from "./parts/serving.ts";
import type { InstanceSettings } from "./settings.ts";
import {
  allow,
  bindRole,
  createManifest,
  type ManifestPart,
  manifestPart,
  toGroupSubject,
} from "../core/rbac/manifest.ts";

/** The address of an attestor. */
type AttestorSettings = Pick<InstanceSettings, "bindAddress" | "securePort" | "advertiseAddress" | "tlsSan">;

/** The cluster that the tokens are for, and the machines that receive them. */
interface AttestorPlace {
  readonly transport: Transport;
  /** Reads the kubeconfig of the cluster. */
  readonly readKubeconfig: () => Promise<ResolvedCluster>;
  readonly inventory: FollowedInventory;
  readonly registry: MetricsRegistry;
}

/** A running attestor. Disposing it stops its server. */
export interface Attestor extends AsyncDisposable {
  /** The URL at which machines exchange their proofs. */
  readonly url: string;
  /** The hash of the CA with which machines verify the attestor. */
  readonly caHash: PublicKeyPin;
  /** The address of the cluster that the tokens are for. */
  readonly cluster: string;
  /** Aborts, with the reason, when the attestor cannot continue. */
  readonly lost: AbortSignal;
}

type Deps = Pick<InstanceDeps, "files" | "clock" | "random" | "logger">;

const CA_LIFETIME_MS = 3_650 * DAY_MS;

/**
 * Starts an attestor once the cluster answers. AppError `access_denied` when the cluster would approve requests with
 * its tokens for any node, or when the user of the kubeconfig lacks a right.
 */
export async function startAttestor(
  settings: AttestorSettings,
  { transport, readKubeconfig, inventory, registry }: AttestorPlace,
  deps: Deps,
  signal: AbortSignal,
): Promise<Attestor> {
  const { clock, logger } = deps;
  const secrets = createObjectStore<SecretObject>(transport, secretKind, {
    ...deps,
    namespace: SYSTEM_NAMESPACE,
  });
  const configMaps = createObjectStore<ConfigMap>(transport, configMapKind, {
    ...deps,
    namespace: CLUSTER_INFO_NAMESPACE,
  });
  const check = (life: AbortSignal) => assertNotApproved(transport, deps, life);
  const read = (life: AbortSignal) => readPublished(configMaps, readKubeconfig, deps, life);
  const { ca, sealingKey, found } = await tryUntilDone(
    async () => {
      try {
        await check(signal);
        return { found: await read(signal), ...await openKeys(secrets, deps, signal) };
      } catch (error) {
        signal.throwIfAborted();
        if (!isAppError(error) || !error.retryable) throw error;
        logger.warn("the cluster does not answer, trying again", { error: error.message });
        return undefined;
      }
    },
    clock,
    signal,
  );
  let published = found;
  const caHash = publicKeyPin(ca.certificate);
  const { host } = await findHost(settings, deps);
  const names = listPermittedNames(settings, host, ca, logger);
  const cluster = {
    published: () => published,
    group: ATTESTED_GROUP,
    secrets,
    events: createObjectStore<Event>(transport, eventKind, { ...deps, namespace: "default" }),
  };
  const attestation = await openAttestation(
    { anonymousAuth: true, enableBootstrapTokenAuth: true },
    { openKey: () => Promise.resolve(sealingKey), isShared: false, inventory, caHash: () => caHash, cluster },
    deps,
  );
  if (attestation.options.expected().kinds.length === 0) {
    logger.warn("the inventory lists no proofs, so no machine is expected");
  }
  const readers = createClusterInfoRbac();
  // The serving certificate is kept in memory only, and each replica has its own.
  let serving = await issueServing(ca, names, deps);

  await using starting = new Parts();
  const storage = starting.add(createMemoryStorage(deps));
  const server = starting.add(
    await startApiServer({
      ...deps,
      storage,
      bindAddress: settings.bindAddress,
      port: settings.securePort,
      serving,
      clientCaPem: undefined,
      tokenFile: undefined,
      bootstrapTokens: false,
      anonymous: true,
      audit: undefined,
      objects: [
        createRbacObject("roles", readers.role),
        createRbacObject("rolebindings", readers.roleBinding),
        ...(attestation.options.expected().kinds.length === 0 ? [] : attesterObjects()),
      ],
      attestation: attestation.options,
      registry,
    }),
  );
  const url = `https://${isIPv6(host) ? `[${host}]` : host}:${server.port}`;
  await ensureClusterInfo({ server, isShared: false }, { server: url, caPem: ca.certificatePem }, deps, signal);
  const expiry = createExpiryMetrics(registry);
  recordServingExpiry(expiry, serving);
  starting.add(watchCaExpiry(expiry, { serving: ca, clientCas: [] }, deps));
  starting.add({
    async renew() {
      if (findRenewalReason(parseLeaf(serving.certificatePem), ca.certificate, names, clock.now()) === undefined) {
        return;
      }
      serving = await issueServing(ca, names, deps);
      server.setServing(serving);
      recordServingExpiry(expiry, serving);
    },
  });
  const lost = new AbortController();
  const background = { until: signal, onFailure: (error: unknown) => lost.abort(error) };
  starting.add({
    async renew() {
      try {
        await check(signal);
        published = await read(signal);
      } catch (error) {
        // While the cluster does not answer, no tokens can be created there either.
        if (!isAppError(error, "access_denied")) throw error;
        lost.abort(error);
      }
    },
  });
  starting.add(runInBackground((life) => attestation.follow(storage, life), background));
  starting.add(runInBackground((life) => renewEachMinute(() => parts.renew(), deps, life), background));
  const parts = starting.move();
  return {
    url,
    caHash,
    cluster: found.server,
    lost: lost.signal,
    [Symbol.asyncDispose]: () => parts[Symbol.asyncDispose](),
  };
}

/**
 * Checks, as kube-controller-manager does for each request with a token, whether the token's user may get a certificate
 * for any node. AppError `access_denied` if so, because a proof of one node would then yield any node's certificate.
 */
async function assertNotApproved(transport: Transport, deps: Pick<Deps, "clock">, signal: AbortSignal): Promise<void> {
  const groups = [BOOTSTRAPPERS_GROUP, ATTESTED_GROUP, AUTHENTICATED_GROUP];
  const spec = createAccessReviewSpec({ spec: { username: `${BOOTSTRAP_USER_PREFIX}attest`, groups } }, "nodeclient");
  const api = createApiClient(transport, deps);
  const { status } = await postReview<SubjectAccessReview>(api, subjectAccessReviewKind, { spec }, signal);
  if (status?.allowed !== true) return;
  const why = status.reason === undefined || status.reason === "" ? "" : ` (${escapeControls(status.reason)})`;
  throw new AppError(
    "access_denied",
    "tlsboot attestor cannot work: kube-controller-manager would approve the request of its tokens for any node, because " +
      `${groups.slice(0, 2).join(" or ")} may create certificatesigningrequests/nodeclient${why}`,
    {
      hint: "remove that binding, or bind it to the group of your other tokens alone; " +
        "tlsboot approver with the setting tokenLimits approves the requests of attestors' tokens without it",
    },
  );
}

/**
 * Reads the address and the CA of the cluster from `cluster-info`, or from the kubeconfig if the cluster publishes
 * none.
 */
async function readPublished(
  configMaps: Pick<ObjectStore<ConfigMap>, "get">,
  readKubeconfig: AttestorPlace["readKubeconfig"],
  { files, logger }: Deps,
  signal: AbortSignal,
): Promise<PublishedCluster> {
  const map = await configMaps.get(CLUSTER_INFO_NAME, signal).catch((error: unknown) => {
    if (!isAppError(error, "access_denied")) throw error;
    return undefined;
  });
  const text = map?.data?.[CLUSTER_INFO_KUBECONFIG_KEY];
  const info = text === undefined ? undefined : parseClusterInfo(text);
  if (info?.ok === true) return { server: info.value.server, caPem: info.value.caPem };
  if (info !== undefined) {
    logger.warn("cluster-info cannot be used, using the kubeconfig instead", { reason: info.error });
  }
  const { server, ca } = await readKubeconfig();
  if (ca !== undefined) return { server, caPem: await readCa(ca, files) };
  throw new AppError("kubeconfig_invalid", "cannot give machines the CA of the cluster: the kubeconfig has none", {
    hint: "add certificate-authority to the kubeconfig, or publish cluster-info as kubeadm does",
  });
}

const KEYS = { certificate: "ca.crt", key: "ca.key", sealing: "sealing.key" } as const;

/** Reads the CA of the server and the sealing key from the Secret, which is created if it does not exist. */
async function openKeys(
  secrets: Pick<ObjectStore<SecretObject>, "get" | "create">,
  deps: Deps,
  signal: AbortSignal,
): Promise<{ readonly ca: Authority; readonly sealingKey: SealingKey }> {
  const { data = {} } = await secrets.get(ATTESTOR_SECRET, signal) ?? await createKeys(secrets, deps, signal);
  const [certificate, key, sealing] = [KEYS.certificate, KEYS.key, KEYS.sealing]
    .map((name) => decodeBase64(data[name] ?? "") ?? new Uint8Array());
  const ca = await parseAuthority(Buffer.from(certificate!).toString("utf8"), Buffer.from(key!).toString("utf8"));
  const fault = !ca.ok
    ? `its ${KEYS.certificate} and ${KEYS.key} are not a CA: ${ca.error}`
    : sealing!.length === SEALING_SECRET_BYTES
    ? undefined
    : `its ${KEYS.sealing} does not have ${SEALING_SECRET_BYTES} bytes`;
  if (ca.ok && fault === undefined) return { ca: ca.value, sealingKey: createSealingKey(sealing!) };
  throw new AppError(
    "key_invalid",
    `cannot exchange proofs with the Secret ${SYSTEM_NAMESPACE}/${ATTESTOR_SECRET}: ${fault}`,
    { hint: "delete it: the attestor makes another CA, and every machine needs its hash in the setting caCertHash" },
  );
}

async function createKeys(
  secrets: Pick<ObjectStore<SecretObject>, "get" | "create">,
  { clock, random, logger }: Deps,
  signal: AbortSignal,
): Promise<SecretObject> {
  const now = clock.now().getTime();
  const key = await generatePrivateKey("ecdsa-p256");
  const { certificatePem } = await createAuthority({
    commonName: "tlsboot-attestor-ca",
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + CA_LIFETIME_MS),
    key,
    serial: random.bytes(SERIAL_BYTES),
  });
  const metadata = { name: ATTESTOR_SECRET, namespace: SYSTEM_NAMESPACE };
  const data = {
    [KEYS.certificate]: encodeBase64(certificatePem),
    [KEYS.key]: encodeBase64(key.toPem()),
    [KEYS.sealing]: encodeBase64(random.bytes(SEALING_SECRET_BYTES)),
  };
  try {
    const created = await secrets.create({ metadata, type: "Opaque", data }, signal);
    logger.info("attestor keys created", { secret: `${metadata.namespace}/${metadata.name}` });
    return created;
  } catch (error) {
    // Another replica created it in the meantime.
    const stored = isAppError(error, "already_exists") ? await secrets.get(ATTESTOR_SECRET, signal) : undefined;
    if (stored === undefined) throw error;
    return stored;
  }
}

/** The group of attestors' tokens. It is not kubeadm's group, whose tokens may request a certificate for any node. */
const ATTESTED_GROUP = "system:bootstrappers:attested";

/** The name of the Secret with the keys that the replicas of an attestor share. */
const ATTESTOR_SECRET = "tlsboot-attestor";

const ROLE = "tlsboot:attestor";

/** Creates the manifest of an attestor and of the group of its tokens. */
export function createAttestorManifest(): readonly ManifestPart[] {
  return [
    ...createManifest("What `tlsboot attestor` needs at a Kubernetes API server.", "tlsboot-attestor", [
      {
        comment: "It asks whether requests with its tokens would be approved for any node.",
        object: { metadata: { name: ROLE }, rules: [allow("create", "authorization.k8s.io", "subjectaccessreviews")] },
      },
      {
        comment: "It creates tokens and the Secret with its own keys. It cannot read any other Secret.",
        object: {
          metadata: { name: ROLE, namespace: SYSTEM_NAMESPACE },
          // RBAC cannot restrict create by name, because the name is not known at authorization.
          rules: [allow("create", "core", "secrets"), allow("get", "core", "secrets", ATTESTOR_SECRET)],
        },
      },
      {
        comment: "It reads the address and the CA of the cluster.",
        object: {
          metadata: { name: `${ROLE}-cluster-info`, namespace: CLUSTER_INFO_NAMESPACE },
          rules: [allow("get", "core", "configmaps", CLUSTER_INFO_NAME)],
        },
      },
      {
        comment: "It records refused proofs as Events; those about nodes are in this namespace.",
        object: {
          metadata: { name: `${ROLE}-events`, namespace: "default" },
          rules: [allow("create", "core", "events")],
        },
      },
    ]),
    manifestPart(
      clusterRoleBindingKind,
      "What the machines need: to create certificate signing requests and to read them.",
      bindRole(
        { metadata: { name: "system:node-bootstrapper" } },
        toGroupSubject(ATTESTED_GROUP),
        "tlsboot:attested-bootstrapper",
      ),
    ),
  ];
}

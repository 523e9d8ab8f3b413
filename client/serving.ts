/**
 * Obtains a machine's first serving certificate like kubelet's certificate manager, but with a key and a CSR name that
 * survive a restart, because a person approves the request and may take long.
 */
import type { CredentialPair } from "../core/machine/credential_pair.ts";
import { createNodeCsrName } from "../core/machine/adoption.ts";
import {
  type CaRetirement,
  type CertificateTemplate,
  getPairStatus,
  isRetiring,
  satisfiesTemplate,
  toRenewableCertificate,
} from "../core/machine/renewal_schedule.ts";
import { createServingTemplate, getKubeletUsages, type NodeName } from "../core/machine/node_name.ts";
import { isAppError } from "../core/errors.ts";
import { KUBELET_SERVING_SIGNER } from "../core/kube/kinds/constants.ts";
import { formatTime } from "../core/kube/meta.ts";
import type { KeyAlgorithm, PrivateKey } from "../core/pki/keys/keys.ts";
import type { Clock, Logger, Random } from "../core/ports.ts";
import { type CredentialStore, forgetKey, keepKey, openCredentialStore } from "./certificate/credential_store.ts";
import type { FilePort } from "./files.ts";
import type { CertificateRequest } from "./certificate/submit_request.ts";
import { obtainCertificate, type ObtainOptions, type ObtainProgress } from "./certificate/obtain_certificate.ts";
import type { TemplateHolder } from "./certificate_manager.ts";
import type { TlsTransport } from "./transport/tls_transport.ts";
import type { ServingNames } from "../core/pki/authority/serving_certificate.ts";
import { parseNodeUser } from "../core/kube/user.ts";

/** The names, the files and the adapters of a serving bootstrap. */
export interface ServingBootstrapOptions {
  readonly template: CertificateTemplate;
  readonly certDir: string;
  /** Opens a connection as the node. */
  readonly connect: () => Promise<TlsTransport>;
  readonly files: FilePort;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onProgress?: (event: ServingProgress) => void;
  /** How long to wait for the certificate. */
  readonly waitSeconds: number;
  /** The requested lifetime; the signer chooses when it is absent, as for kubelet. */
  readonly expirationSeconds?: number | undefined;
  /** The algorithm of a new key. Default: ECDSA P-256, as in kubelet. */
  readonly keyAlgorithm?: KeyAlgorithm | undefined;
  /** The CAs that are being replaced; their certificates are replaced too. */
  readonly retirement?: CaRetirement | undefined;
  /** A command that continues the request; it is stored with the key, so that `doctor` can show it. */
  readonly resumeCommand?: string;
}

/** A step of a serving bootstrap, for progress output. */
export type ServingProgress =
  | ObtainProgress
  /** The stored pair must be replaced, for `reason`. */
  | { readonly kind: "servingOutdated"; readonly reason: string };

/** The result of a serving bootstrap; every failure is an error instead. */
export type ServingOutcome = {
  readonly kind: "alreadyValid" | "issued";
  readonly pair: CredentialPair;
  /** The link that a server reads. */
  readonly certificatePath: string;
};

/** The prefix of the serving certificate's files. */
export const SERVING_STORE_PREFIX = "kubelet-server";

/**
 * Obtains a serving certificate, unless a valid one is stored. AppError as `obtainCertificate`, `key_invalid`, `io`.
 */
export async function bootstrapServing(
  options: ServingBootstrapOptions,
  signal: AbortSignal,
): Promise<ServingOutcome> {
  const { files, clock, certDir } = options;
  const store = await openCredentialStore({ files, clock, certDir, prefix: SERVING_STORE_PREFIX });
  const current = await findServingPair(store);
  const reason = current.pair === undefined ? current.reason : findRenewalReason(current.pair, options);
  if (current.pair !== undefined && reason === undefined) {
    return { kind: "alreadyValid", pair: current.pair, certificatePath: store.currentPath };
  }
  if (reason !== undefined) options.onProgress?.({ kind: "servingOutdated", reason });
  await store.checkUpdatable();
  const { pair } = await obtainCertificate({
    ...options,
    ...createServingSteps(options, store, current.pair),
    timeoutSeconds: options.waitSeconds,
  }, signal);
  return { kind: "issued", pair, certificatePath: store.currentPath };
}

/** Creates the steps of a serving certificate that do not depend on the connection to the signer. */
export function createServingSteps(
  options: Pick<
    ServingBootstrapOptions,
    "template" | "expirationSeconds" | "keyAlgorithm" | "resumeCommand" | "files" | "logger"
  >,
  store: CredentialStore,
  current: CredentialPair | undefined,
): Required<Pick<ObtainOptions, "keepKey" | "createRequest" | "store">> {
  const { files, template, resumeCommand: command } = options;
  const path = store.temporaryKeyPath;
  const nodeName = parseNodeUser(template.commonName);
  const note = nodeName === undefined || command === undefined ? undefined : { nodeName, command };
  return {
    keepKey: () => keepKey({ path, files, algorithm: options.keyAlgorithm, stored: current?.leaf, note }),
    createRequest: (key) => createServingRequest(options, key),
    async store(pair) {
      await store.update(pair.certificatePem, pair.keyPem);
      await forgetKey(path, files, options.logger);
    },
  };
}

/** Reads the stored pair. A pair that cannot be read is only reported, because a new one replaces it. */
export async function findServingPair(
  store: CredentialStore,
): Promise<{ readonly pair: CredentialPair | undefined; readonly reason?: string }> {
  try {
    return { pair: await store.current() };
  } catch (error) {
    if (isAppError(error, "pki_invalid")) return { pair: undefined, reason: error.message };
    throw error;
  }
}

function findRenewalReason(
  pair: CredentialPair,
  { template, retirement, clock }: ServingBootstrapOptions,
): string | undefined {
  const now = clock.now();
  if (pair.leaf.notAfter < now) return `the certificate expired at ${formatTime(pair.leaf.notAfter)}`;
  if (getPairStatus(pair.leaf, now).state === "renewalDue") return "its renewal is overdue";
  const certificate = toRenewableCertificate(pair.leaf);
  if (isRetiring(certificate, retirement)) return "its CA is being replaced";
  return satisfiesTemplate(certificate, template) ? undefined : "the certificate is for other names";
}

function createServingRequest(
  options: Pick<ServingBootstrapOptions, "template" | "expirationSeconds">,
  key: PrivateKey,
): CertificateRequest {
  const { commonName, organizations, dnsNames, ipAddresses } = options.template;
  const usages = getKubeletUsages("serving", key.algorithm);
  const subject = { commonName, organizations };
  const names = [...dnsNames, ...ipAddresses];
  return {
    key,
    subject,
    dnsNames,
    ipAddresses,
    signerName: KUBELET_SERVING_SIGNER,
    usages,
    expirationSeconds: options.expirationSeconds,
    name: { fixed: createNodeCsrName({ publicKeyDer: key.publicKeyDer(), ...subject, usages, names }) },
  };
}

/** The names to follow, and the template that they change. */
export interface ServingAddressesOptions {
  readonly nodeName: NodeName;
  /** Reads the current names and addresses. */
  readonly readNames: () => Promise<ServingNames>;
  /** Receives a new template when the names have changed for good. */
  readonly template: TemplateHolder;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** kubelet's `nodeStatusUpdateFrequency`, at which it reads the node's addresses. */
const PAUSE_MS = 10_000;
/** Three reads. A change that reverts sooner is caused by a cable, a DHCP lease or a container network. */
const QUIET_MS = 30_000;

/**
 * Follows a host's addresses, so that its serving certificate is renewed for them
 * (`pkg/kubelet/certificate/kubelet.go`). It reads the names until the signal fires, then rejects with its reason. A host
 * without an address keeps its template.
 */
export async function followServingAddresses(options: ServingAddressesOptions, signal: AbortSignal): Promise<never> {
  const { nodeName, readNames, template, clock, logger } = options;
  let state: Debounced<ServingNames> = { settled: toServingNames(template) };
  while (true) {
    const names = await readNames();
    if (createServingTemplate(nodeName, names) !== undefined) {
      // The first address is used at once, because there is no certificate to lose.
      const quietMs = template.current() === undefined ? 0 : QUIET_MS;
      const next = debounce(state, names, clock.elapsedMs(), { quietMs, isEqual });
      if (!isEqual(next.settled, state.settled)) {
        logger.warn("addresses have changed", { ...names });
        template.set(createServingTemplate(nodeName, names));
      }
      state = next;
    }
    await clock.sleep(PAUSE_MS, signal);
  }
}

function toServingNames(template: TemplateHolder): ServingNames {
  const { dnsNames = [], ipAddresses = [] } = template.current() ?? {};
  return { dnsNames, ipAddresses };
}

function isEqual(a: ServingNames, b: ServingNames): boolean {
  return a.dnsNames.join() === b.dnsNames.join() && a.ipAddresses.join() === b.ipAddresses.join();
}

/** The settled value, and a candidate that may replace it. */
export interface Debounced<T> {
  readonly settled: T;
  /** A value other than `settled`, and the elapsed milliseconds at which it was first observed. */
  readonly candidate?: { readonly value: T; readonly since: number };
}

/**
 * Returns the state after an observation. A new value is settled once it was observed for `quietMs` without a break.
 */
export function debounce<T>(
  state: Debounced<T>,
  value: T,
  elapsedMs: number,
  rules: { readonly quietMs: number; readonly isEqual: (a: T, b: T) => boolean },
): Debounced<T> {
  if (rules.isEqual(value, state.settled)) return { settled: state.settled };
  const { candidate } = state;
  const since = candidate !== undefined && rules.isEqual(value, candidate.value) ? candidate.since : elapsedMs;
  if (elapsedMs - since >= rules.quietMs) return { settled: value };
  return { settled: state.settled, candidate: { value, since } };
}

/**
 * Renews a machine's certificates, with a certificate manager for each, and follows the machine's addresses and the
 * cluster's CAs.
 */
import type { CredentialPair } from "../core/machine/credential_pair.ts";
import type { ServingNames } from "../core/pki/authority/serving_certificate.ts";
import { createServingTemplate, getKubeletUsages, toNodeSubject } from "../core/machine/node_name.ts";
import { type CaRetirement, isRetiring } from "../core/machine/renewal_schedule.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER, KUBELET_SERVING_SIGNER } from "../core/kube/kinds/constants.ts";
import { type BootstrapOptions, CLIENT_STORE_PREFIX, ifAccepted } from "./bootstrap.ts";
import { type CredentialStore, forgetKey, keepKey, openCredentialStore } from "./certificate/credential_store.ts";
import type { ObtainProgress } from "./certificate/obtain_certificate.ts";
import { createFixedSource, createHolder, type Source } from "./keep_fresh.ts";
import { adoptKubeconfigPair, connectAsNode } from "./node_kubeconfig.ts";
import { followNodeTrust, type TrustChange, updateNodeTrust } from "./node_trust.ts";
import { createCertificateRequester, renewCertificate, runCertificateManager } from "./certificate_manager.ts";
import { followServingAddresses, SERVING_STORE_PREFIX } from "./serving.ts";
import { readCluster } from "./transport/connect.ts";

/** A machine that was bootstrapped, and the adapters. */
export type MachineOptions = Omit<BootstrapOptions, "onProgress" | "waitSeconds" | "resumeCommand">;

/** A change of a certificate: the new pair, which is stored already. */
export interface PairChange {
  readonly purpose: "client" | "serving";
  readonly pair: CredentialPair;
  /** The link that programs read. */
  readonly certificatePath: string;
}

/** The machine, and the callbacks for its changes. */
interface MachineRenewal extends MachineOptions {
  /** Reads the names of the serving certificate; without it, the machine has none. */
  readonly readServingNames?: (() => Promise<ServingNames>) | undefined;
  /** Receives the steps of a request for a serving certificate, which a person approves. */
  readonly onServingProgress?: ((event: ObtainProgress) => void) | undefined;
  /** Receives each new pair; `isFirst` is true when there was none before. The renewal waits for it. */
  readonly onChange: (change: PairChange, isFirst: boolean) => Promise<void>;
  /** Receives each change of the CAs in the kubeconfig, which is stored already. */
  readonly onTrust: (change: TrustChange) => void;
}

/**
 * The CAs that are being replaced: the follower of the trust bundle sets them, and the managers renew early because of
 * them.
 */
type Retirement = Source<CaRetirement | undefined>;

/** Runs until the signal fires or one of the parts ends; then the others end too. */
export async function keepMachineFresh(options: MachineRenewal, signal: AbortSignal): Promise<never> {
  const { readServingNames, onTrust } = options;
  const store = await openCredentialStore({ ...options, prefix: CLIENT_STORE_PREFIX });
  await adoptKubeconfigPair({ ...options, store });
  const end = new AbortController();
  const either = AbortSignal.any([signal, end.signal]);
  const retirement = createHolder<CaRetirement | undefined>(undefined);
  const parts = [
    keepClientFresh(options, store, retirement, either),
    ...(readServingNames === undefined ? [] : [keepServingFresh(options, readServingNames, store, retirement, either)]),
    followNodeTrust({ ...options, store, retirement, onStored: onTrust }, either),
  ];
  try {
    return await Promise.race(parts);
  } finally {
    end.abort();
    await Promise.allSettled(parts);
  }
}

async function keepClientFresh(
  options: MachineRenewal,
  store: CredentialStore,
  retirement: Retirement,
  signal: AbortSignal,
): Promise<never> {
  const { files, logger, onChange, keyAlgorithm, prove } = options;
  const { requestCertificate, template, ...shared } = createClientOptions(options, store);
  return await runCertificateManager({
    ...shared,
    template: createFixedSource(template),
    retirement,
    async requestCertificate(key, template, credentials, signal) {
      const isExpired = credentials === "bootstrap" && await store.current() !== undefined;
      if (!isExpired || prove !== undefined) return await requestCertificate(key, template, credentials, signal);
      // The certificate expired while this process was suspended; the server may still accept it for the next one.
      const refused = (reason: string): void =>
        logger.info("the server does not accept the expired certificate", { reason });
      return await ifAccepted(() => requestCertificate(key, template, "current", signal), refused) ??
        await requestCertificate(key, template, credentials, signal);
    },
    async keepKey() {
      const stored = (await store.current())?.leaf;
      return (await keepKey({ path: store.temporaryKeyPath, files, algorithm: keyAlgorithm, stored })).key;
    },
    async onRenewed(pair, previous) {
      await forgetKey(store.temporaryKeyPath, files, logger);
      await onChange({ purpose: "client", pair, certificatePath: store.currentPath }, previous === undefined);
    },
  }, signal);
}

/** Creates the options of every renewal of the client certificate. */
function createClientOptions(options: MachineOptions, store: CredentialStore) {
  return {
    ...options,
    purpose: "client" as const,
    store,
    template: { ...toNodeSubject(options.nodeName), dnsNames: [], ipAddresses: [] },
    requestCertificate: createCertificateRequester({
      ...options,
      signerName: KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
      usages: (algorithm) => getKubeletUsages("renewal", algorithm),
      async connect(credentials, signal, key) {
        if (options.prove !== undefined) return await options.connect(await options.prove(key, signal));
        return credentials === "current"
          ? await connectAsNode({ ...options, store })
          : await options.connect(await options.findCluster(signal));
      },
    }),
  };
}

/** The effects of a CA's replacement on a machine with a valid certificate. */
interface CaUpdate {
  /** The change of the CAs in the kubeconfig, if there was one. */
  readonly trust: TrustChange | undefined;
  /** The CAs that are being replaced. */
  readonly retirement: CaRetirement | undefined;
  /** The new client certificate, if a CA that is being replaced issued the previous one. */
  readonly renewed: PairChange | undefined;
}

/**
 * Stores the CAs that the cluster publishes, and renews the client certificate at once if its CA is being replaced. It
 * runs once, for a machine without a process that renews. The kubeconfig must refer to the link of the certificate.
 */
export async function updateForNewCa(options: MachineOptions, signal: AbortSignal): Promise<CaUpdate> {
  const { files, kubeconfigPath } = options;
  const store = await openCredentialStore({ ...options, prefix: CLIENT_STORE_PREFIX });
  const holder = createHolder<CaRetirement | undefined>(undefined);
  let trust: TrustChange | undefined;
  const onStored = (change: TrustChange): void => void (trust = change);
  await updateNodeTrust({ ...options, store, retirement: holder, onStored }, signal);
  const retirement = holder.current();
  const { clientCertificate } = await readCluster(kubeconfigPath, files);
  const isLinked = clientCertificate?.kind === "file" &&
    await files.realPath(clientCertificate.path) === await files.realPath(store.currentPath);
  if (!isLinked || !isRetiring((await store.current())?.leaf, retirement)) {
    return { trust, retirement, renewed: undefined };
  }
  const pair = await renewCertificate(createClientOptions(options, store), signal);
  return { trust, retirement, renewed: { purpose: "client", pair, certificatePath: store.currentPath } };
}

async function keepServingFresh(
  options: MachineRenewal,
  readNames: () => Promise<ServingNames>,
  client: CredentialStore,
  retirement: Retirement,
  signal: AbortSignal,
): Promise<never> {
  const { nodeName, onChange } = options;
  const store = await openCredentialStore({ ...options, prefix: SERVING_STORE_PREFIX });
  const template = createHolder(createServingTemplate(nodeName, await readNames()));
  const manager = runCertificateManager({
    ...options,
    purpose: "serving",
    store,
    template,
    retirement,
    requestCertificate: createCertificateRequester({
      ...options,
      signerName: KUBELET_SERVING_SIGNER,
      usages: (algorithm) => getKubeletUsages("serving", algorithm),
      connect: () => connectAsNode({ ...options, store: client }),
      onProgress: options.onServingProgress,
    }),
    onRenewed: (pair, previous) =>
      onChange({ purpose: "serving", pair, certificatePath: store.currentPath }, previous === undefined),
  }, signal);
  return await Promise.race([manager, followServingAddresses({ ...options, readNames, template }, signal)]);
}

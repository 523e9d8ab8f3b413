/**
 * Renews a machine's certificates: a certificate manager for each, a follower of the machine's addresses, and one of the
 * cluster's CAs.
 */
import { CLIENT_STORE_PREFIX, ifAccepted } from "../../../client/bootstrap.ts";
import { forgetKey, keepKey } from "../../../client/certificate/kept_key.ts";
import { createCertificateRequester, renewCertificate, runCertificateManager } from "../../../client/renewal.ts";
import { createFixedSource, createHolder, type Source } from "../../../client/keep_fresh.ts";
import { type CredentialStore, openCredentialStore } from "../../../client/certificate/credential_store.ts";
import { adoptKubeconfigPair, connectAsNode } from "../../../client/node_kubeconfig.ts";
import { followNodeTrust, type TrustChange, updateNodeTrust } from "../../../client/node_trust.ts";
import { followServingAddresses, SERVING_STORE_PREFIX } from "../../../client/serving.ts";
import { readCluster } from "../../../client/transport/connect.ts";
import { type CaRetirement, isRetiring } from "../../../core/bootstrap/renewal.ts";
import { createServingTemplate, getKubeletUsages, toNodeSubject } from "../../../core/bootstrap/node_name.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER, KUBELET_SERVING_SIGNER } from "../../../core/kube/certificates_v1.ts";
import type { BootstrapFlags } from "./flags.ts";
import type { Settings } from "../../framework/flags.ts";
import { line } from "../../output/escape.ts";
import type { PairChange } from "../../hooks.ts";
import type { Machine, Tools } from "./machine.ts";
import { describeProgress } from "./progress_text.ts";
import { readServingNames } from "./serving_names.ts";

/** The settings, the machine and the adapters of the renewal. */
export interface RenewalContext {
  readonly settings: Settings<BootstrapFlags>;
  readonly machine: Machine;
  readonly tools: Tools;
  /** Receives each new pair; `isFirst` is true when there was none before. The renewal waits for it. */
  readonly onChange: (change: PairChange, isFirst: boolean) => Promise<void>;
  /** Receives each change of the CAs in the kubeconfig, which is stored already. */
  readonly onTrust: (change: TrustChange) => void;
}

/** Names the CAs that are being replaced; the follower of the trust bundle sets it, and the managers renew for it. */
type Retirement = Source<CaRetirement | undefined>;

/** Runs until the signal fires or one of the managers ends; then the others end too. */
export async function keepMachineFresh(context: RenewalContext, signal: AbortSignal): Promise<never> {
  const { settings, machine, tools, onTrust } = context;
  const { files, connect, io, logger } = tools;
  const store = await openCredentialStore({
    files,
    clock: io.clock,
    certDir: machine.certDir,
    prefix: CLIENT_STORE_PREFIX,
  });
  await adoptKubeconfigPair({ kubeconfigPath: machine.kubeconfigPath, store, files, connect });
  const end = new AbortController();
  const either = AbortSignal.any([signal, end.signal]);
  const retirement = createHolder<CaRetirement | undefined>(undefined);
  const { kubeconfigPath, nodeName } = machine;
  const { clock, random } = io;
  const trust = { kubeconfigPath, nodeName, store, files, connect, retirement, onStored: onTrust };
  const parts = [
    keepClientFresh(context, store, retirement, either),
    ...(settings.serving ? [keepServingFresh(context, store, retirement, either)] : []),
    followNodeTrust({ ...trust, clock, random, logger }, either),
  ];
  try {
    return await Promise.race(parts);
  } finally {
    end.abort();
    await Promise.allSettled(parts);
  }
}

async function keepClientFresh(
  context: RenewalContext,
  store: CredentialStore,
  retirement: Retirement,
  signal: AbortSignal,
): Promise<never> {
  const { machine, tools: { files, logger }, onChange } = context;
  const { requestCertificate, ...options } = createClientOptions(context, store);
  return await runCertificateManager({
    ...options,
    template: createFixedSource(options.template),
    retirement,
    async requestCertificate(key, template, credentials, signal) {
      const isExpired = credentials === "bootstrap" && await store.current() !== undefined;
      if (!isExpired) return await requestCertificate(key, template, credentials, signal);
      // The certificate expired while this process was suspended; the server may still accept it for the next one.
      const refused = (reason: string): void =>
        logger.info("the server does not accept the expired certificate", { reason });
      return await ifAccepted(() => requestCertificate(key, template, "current", signal), refused) ??
        await requestCertificate(key, template, credentials, signal);
    },
    keepKey: async () =>
      (await keepKey({
        path: store.temporaryKeyPath,
        files,
        algorithm: machine.keyAlgorithm,
        stored: (await store.current())?.leaf,
      })).key,
    async onRenewed(pair, previous) {
      await forgetKey(store.temporaryKeyPath, files, logger);
      await onChange({ purpose: "client", pair, certificatePath: store.currentPath }, previous === undefined);
    },
  }, signal);
}

/** Creates the options of every renewal of the client certificate. */
function createClientOptions({ settings, machine, tools }: ClientContext, store: CredentialStore) {
  const { io: { clock, random }, files, connect, logger, findCluster } = tools;
  return {
    purpose: "client" as const,
    ...{ store, clock, random, logger, keyAlgorithm: machine.keyAlgorithm },
    template: { ...toNodeSubject(machine.nodeName), dnsNames: [], ipAddresses: [] },
    requestCertificate: createCertificateRequester({
      signerName: KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
      usages: (algorithm) => getKubeletUsages("renewal", algorithm),
      ...toExpiration(settings),
      ...{ clock, random, logger },
      connect: async (credentials, signal) =>
        credentials === "current"
          ? await connectAsNode({ kubeconfigPath: machine.kubeconfigPath, store, files, connect })
          : await connect(await findCluster(signal)),
    }),
  };
}

/** The part of the context that a renewal of the client certificate needs. */
type ClientContext = Pick<RenewalContext, "settings" | "machine" | "tools">;

/** What the replacement of a CA meant for a machine with a valid certificate. */
export interface CaUpdate {
  /** The change of the CAs in the kubeconfig, if there was one. */
  readonly trust: TrustChange | undefined;
  /** The CAs that are being replaced. */
  readonly retirement: CaRetirement | undefined;
  /** The new client certificate, when a CA that is being replaced had issued the last one. */
  readonly renewed: PairChange | undefined;
}

/**
 * Takes over the CAs that the cluster publishes, and renews the client certificate at once when its CA is being replaced:
 * once, for a machine on which no process renews it. The kubeconfig must name the link of the certificate.
 */
export async function updateForNewCa(context: ClientContext, signal: AbortSignal): Promise<CaUpdate> {
  const { machine: { certDir, kubeconfigPath, nodeName }, tools } = context;
  const { files, connect, io: { clock, random }, logger } = tools;
  const store = await openCredentialStore({ files, clock, certDir, prefix: CLIENT_STORE_PREFIX });
  const holder = createHolder<CaRetirement | undefined>(undefined);
  let trust: TrustChange | undefined;
  await updateNodeTrust({
    ...{ kubeconfigPath, nodeName, store, files, connect, retirement: holder, clock, random, logger },
    onStored: (change) => trust = change,
  }, signal);
  const retirement = holder.current();
  const { clientCertificate } = await readCluster(kubeconfigPath, files);
  const isLinked = clientCertificate?.kind === "file" &&
    await files.realPath(clientCertificate.path) === await files.realPath(store.currentPath);
  if (!isLinked || !isRetiring((await store.current())?.leaf, retirement)) {
    return { trust, retirement, renewed: undefined };
  }
  const pair = await renewCertificate(createClientOptions(context, store), signal);
  return { trust, retirement, renewed: { purpose: "client", pair, certificatePath: store.currentPath } };
}

async function keepServingFresh(
  context: RenewalContext,
  client: CredentialStore,
  retirement: Retirement,
  signal: AbortSignal,
): Promise<never> {
  const { settings, machine, tools, onChange } = context;
  const { io, files, connect, logger } = tools;
  const { clock, random } = io;
  const store = await openCredentialStore({ files, clock, certDir: machine.certDir, prefix: SERVING_STORE_PREFIX });
  const readNames = () => readServingNames(settings, machine, files);
  const template = createHolder(createServingTemplate(machine.nodeName, await readNames()));
  const manager = runCertificateManager({
    purpose: "serving",
    store,
    keyAlgorithm: machine.keyAlgorithm,
    template,
    retirement,
    requestCertificate: createCertificateRequester({
      signerName: KUBELET_SERVING_SIGNER,
      usages: (algorithm) => getKubeletUsages("serving", algorithm),
      ...toExpiration(settings),
      clock,
      random,
      logger,
      connect: () => connectAsNode({ kubeconfigPath: machine.kubeconfigPath, store: client, files, connect }),
      onProgress: (event) => {
        // A person approves these requests, so they are printed.
        if (event.kind === "submitted") io.stderr.write(line`${describeProgress(event, io.cwd) ?? ""}\n`);
      },
    }),
    clock,
    random,
    logger,
    onRenewed: (pair, previous) =>
      onChange({ purpose: "serving", pair, certificatePath: store.currentPath }, previous === undefined),
  }, signal);
  const follower = followServingAddresses({ nodeName: machine.nodeName, readNames, template, clock, logger }, signal);
  return await Promise.race([manager, follower]);
}

/** Converts `--duration` to the lifetime that a request asks for; the signer chooses it without the flag. */
export function toExpiration(
  { duration }: Pick<Settings<BootstrapFlags>, "duration">,
): { readonly expirationSeconds?: number } {
  return duration === undefined ? {} : { expirationSeconds: Math.floor(duration / 1000) };
}

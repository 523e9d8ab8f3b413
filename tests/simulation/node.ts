/** The nodes of the simulation: kubelets, and machines with `tlsboot bootstrap --rotate-certificates`. */
import { bootstrap, CLIENT_STORE_PREFIX, createKubeconfigFinder } from "../../client/bootstrap.ts";
import { openCredentialStore } from "../../client/certificate/credential_store.ts";
import { connectAsNode } from "../../client/node_kubeconfig.ts";
import { createFixedSource } from "../../client/keep_fresh.ts";
import { keepMachineFresh, type MachineOptions } from "../../client/keep_machine_fresh.ts";
import { createCertificateRequester, runCertificateManager } from "../../client/certificate_manager.ts";
import { createConnector } from "../../client/transport/connect.ts";
import { getKubeletUsages, parseNodeName, toNodeSubject } from "../../core/machine/node_name.ts";
import type { CredentialPair } from "../../core/machine/credential_pair.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../../core/kube/kinds/certificates_v1.ts";
import type { Observe } from "../torture/observed.ts";
import type { Process, Program } from "./host.ts";
import { USER_AGENT } from "../../core/version.ts";

export const NODE_FILES = {
  bootstrapKubeconfig: "/etc/kubernetes/bootstrap-kubelet.conf",
  kubeconfig: "/etc/kubernetes/kubelet.conf",
  certDir: "/var/lib/kubelet/pki",
} as const;

export interface NodeOptions {
  /** A kubelet renews its client certificate; `tlsboot` also follows the CAs of the cluster with a watch. */
  readonly kind: "kubelet" | "tlsboot";
  /** The requested lifetime of certificates, in milliseconds. */
  readonly durationMs: number;
  readonly observe: Observe;
  /** Called for each pair that the node has written to its disk. */
  readonly onPair: (own: Process, pair: CredentialPair) => void;
}

export function createNodeProgram(options: NodeOptions): Program {
  return async (own) => {
    const { clock, random, logger, host: { files } } = own;
    const signal = new AbortController().signal;
    const parsed = parseNodeName(own.name);
    if (!parsed.ok) throw new Error(parsed.error);
    const machine = { nodeName: parsed.value, kubeconfigPath: NODE_FILES.kubeconfig, certDir: NODE_FILES.certDir };
    const connect = options.observe(createConnector({ files, clock, userAgent: USER_AGENT }), own.clientName);
    const findCluster = createKubeconfigFinder(NODE_FILES.bootstrapKubeconfig, files);
    const expirationSeconds = options.durationMs / 1000;
    const shared = { ...machine, files, clock, random, logger, connect, findCluster, expirationSeconds };
    const outcome = await bootstrap(shared, signal);
    options.onPair(own, outcome.pair);
    if (options.kind === "kubelet") return await renewAsKubelet(own, shared, options, signal);
    await keepMachineFresh({
      ...shared,
      onChange: ({ pair }) => Promise.resolve(options.onPair(own, pair)),
      onTrust: () => {},
    }, signal);
  };
}

async function renewAsKubelet(
  own: Process,
  options: MachineOptions,
  { onPair }: NodeOptions,
  signal: AbortSignal,
): Promise<never> {
  const store = await openCredentialStore({ ...options, prefix: CLIENT_STORE_PREFIX });
  return await runCertificateManager({
    ...options,
    purpose: "client",
    store,
    template: createFixedSource({ ...toNodeSubject(options.nodeName), dnsNames: [], ipAddresses: [] }),
    requestCertificate: createCertificateRequester({
      ...options,
      signerName: KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
      usages: (algorithm) => getKubeletUsages("renewal", algorithm),
      connect: async (credentials, until) =>
        credentials === "current"
          ? await connectAsNode({ ...options, store })
          : await options.connect(await options.findCluster(until)),
    }),
    onRenewed: (pair) => onPair(own, pair),
  }, signal);
}

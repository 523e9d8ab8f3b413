/** The nodes of the simulation: kubelets, and machines with `tlsboot bootstrap --rotate-certificates`. */
import { bootstrap, createKubeconfigFinder } from "../../client/bootstrap.ts";
import { keepMachineFresh } from "../../client/keep_machine_fresh.ts";
import { createConnector } from "../../client/transport/connect.ts";
import { parseNodeName } from "../../core/machine/node_name.ts";
import type { CredentialPair } from "../../core/machine/credential_pair.ts";
import { renewAsKubelet } from "../torture/node.ts";
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
    const onPair = (pair: CredentialPair) => options.onPair(own, pair);
    if (options.kind === "kubelet") return await renewAsKubelet(shared, onPair, signal);
    await keepMachineFresh({
      ...shared,
      onChange: ({ pair }) => Promise.resolve(onPair(pair)),
      onTrust: () => {},
    }, signal);
  };
}

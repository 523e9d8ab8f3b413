/** The nodes of the simulation: kubelets, and machines with `tlsboot bootstrap --rotate-certificates`. */
import { bootstrap, CLIENT_STORE_PREFIX, createKubeconfigFinder } from "../../client/bootstrap.ts";
import { openCredentialStore } from "../../client/certificate/credential_store.ts";
import { connectAsNode } from "../../client/node_kubeconfig.ts";
import { createFixedSource } from "../../client/keep_fresh.ts";
import { createCertificateRequester, runCertificateManager } from "../../client/renewal.ts";
import { createConnector } from "../../client/transport/connect.ts";
import { BOOTSTRAP_FLAGS } from "../../cli/commands/bootstrap/flags.ts";
import { keepMachineFresh } from "../../cli/commands/bootstrap/keep_machine_fresh.ts";
import type { Machine, Tools } from "../../cli/commands/bootstrap/machine.ts";
import { getDefaultSettings } from "../../cli/instance/instance.ts";
import type { Io } from "../../cli/io.ts";
import { USER_AGENT } from "../../cli/version.ts";
import { getKubeletUsages, parseNodeName, toNodeSubject } from "../../core/bootstrap/node_name.ts";
import type { CredentialPair } from "../../core/bootstrap/credential_pair.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../../core/kube/certificates_v1.ts";
import type { Observe } from "../torture/observed.ts";
import type { Process, Program } from "./host.ts";

/** The files of a node. */
export const NODE_FILES = {
  bootstrapKubeconfig: "/etc/kubernetes/bootstrap-kubelet.conf",
  kubeconfig: "/etc/kubernetes/kubelet.conf",
  certDir: "/var/lib/kubelet/pki",
} as const;

/** What runs on a node, and where its certificates are reported. */
export interface NodeOptions {
  /** A kubelet renews its client certificate; `tlsboot` also follows the CAs of the cluster, over a watch. */
  readonly kind: "kubelet" | "tlsboot";
  /** The lifetime that it requests, in milliseconds. */
  readonly durationMs: number;
  readonly observe: Observe;
  /** Called for each pair that is on its disk. */
  readonly onPair: (own: Process, pair: CredentialPair) => void;
}

/** Creates the program of a node. */
export function createNodeProgram(options: NodeOptions): Program {
  return async (own) => {
    const { clock, random, logger, host: { files } } = own;
    const signal = new AbortController().signal;
    const parsed = parseNodeName(own.name);
    if (!parsed.ok) throw new Error(parsed.error);
    const machine = { nodeName: parsed.value, kubeconfigPath: NODE_FILES.kubeconfig, certDir: NODE_FILES.certDir };
    const connect = options.observe(createConnector({ files, clock, userAgent: USER_AGENT }), own.clientName);
    const findCluster = createKubeconfigFinder(NODE_FILES.bootstrapKubeconfig, files);
    const shared = { files, clock, random, logger, connect, findCluster };
    const outcome = await bootstrap({ ...machine, ...shared, expirationSeconds: options.durationMs / 1000 }, signal);
    options.onPair(own, outcome.pair);
    const tools: Tools = { ...shared, io: createIo(own) };
    if (options.kind === "kubelet") return await renewAsKubelet(own, machine, tools, options, signal);
    await keepMachineFresh({
      settings: { ...getDefaultSettings(BOOTSTRAP_FLAGS), duration: options.durationMs },
      machine,
      tools,
      onChange: ({ pair }) => Promise.resolve(options.onPair(own, pair)),
      onTrust: () => {},
    }, signal);
  };
}

async function renewAsKubelet(
  own: Process,
  { nodeName, kubeconfigPath, certDir }: Machine,
  { files, connect, logger, findCluster, io: { clock, random } }: Tools,
  { durationMs, onPair }: NodeOptions,
  signal: AbortSignal,
): Promise<never> {
  const store = await openCredentialStore({ files, clock, certDir, prefix: CLIENT_STORE_PREFIX });
  const shared = { clock, random, logger };
  return await runCertificateManager({
    ...shared,
    purpose: "client",
    store,
    template: createFixedSource({ ...toNodeSubject(nodeName), dnsNames: [], ipAddresses: [] }),
    requestCertificate: createCertificateRequester({
      ...shared,
      signerName: KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
      usages: (algorithm) => getKubeletUsages("renewal", algorithm),
      expirationSeconds: durationMs / 1000,
      connect: async (credentials, until) =>
        credentials === "current"
          ? await connectAsNode({ kubeconfigPath, store, files, connect })
          : await connect(await findCluster(until)),
    }),
    onRenewed: (pair) => onPair(own, pair),
  }, signal);
}

/** Creates the environment of a command, of which the rotation uses the clock and the randomness. */
function createIo({ clock, random }: Process): Io {
  const silent = { write() {}, isTerminal: false, columns: undefined };
  return {
    stdin: {
      isTerminal: false,
      readAll: () => Promise.resolve(""),
      readLine: () => Promise.resolve(undefined),
      readHidden: () => Promise.resolve(undefined),
    },
    stdout: silent,
    stderr: silent,
    env: {},
    cwd: "/",
    execPath: "tlsboot",
    versions: {},
    clock,
    random,
  };
}

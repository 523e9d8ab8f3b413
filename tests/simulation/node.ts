/** A node of the simulation: the program of `tlsboot bootstrap --rotate-certificates`. */
import { bootstrap, createKubeconfigFinder } from "../../client/bootstrap.ts";
import { createConnector } from "../../client/transport/connect.ts";
import { BOOTSTRAP_FLAGS } from "../../cli/commands/bootstrap/flags.ts";
import { keepRotating } from "../../cli/commands/bootstrap/keep_rotating.ts";
import { getDefaultSettings } from "../../cli/instance/instance.ts";
import type { Io } from "../../cli/io.ts";
import { USER_AGENT } from "../../cli/version.ts";
import { parseNodeName } from "../../core/bootstrap/node_name.ts";
import type { CredentialPair } from "../../core/bootstrap/credential_pair.ts";
import type { Process, Program } from "./host.ts";

/** The files of a node. */
export const NODE_FILES = {
  bootstrapKubeconfig: "/etc/kubernetes/bootstrap-kubelet.conf",
  kubeconfig: "/etc/kubernetes/kubelet.conf",
  certDir: "/var/lib/kubelet/pki",
} as const;

/** The settings of a node, and where its certificates are reported. */
export interface NodeOptions {
  /** The lifetime that it requests, in milliseconds. */
  readonly durationMs: number;
  /** Called for each pair that is on its disk. */
  readonly onPair: (own: Process, pair: CredentialPair) => void;
}

/** Creates the program of a node. */
export function createNodeProgram({ durationMs, onPair }: NodeOptions): Program {
  return async (own) => {
    const { clock, random, logger, host: { files } } = own;
    const signal = new AbortController().signal;
    const parsed = parseNodeName(own.name);
    if (!parsed.ok) throw new Error(parsed.error);
    const machine = { nodeName: parsed.value, kubeconfigPath: NODE_FILES.kubeconfig, certDir: NODE_FILES.certDir };
    const connect = createConnector({ files, clock, userAgent: USER_AGENT });
    const findCluster = createKubeconfigFinder(NODE_FILES.bootstrapKubeconfig, files);
    const shared = { files, clock, random, logger, connect, findCluster };
    const outcome = await bootstrap({ ...machine, ...shared, expirationSeconds: durationMs / 1000 }, signal);
    onPair(own, outcome.pair);
    await keepRotating({
      settings: { ...getDefaultSettings(BOOTSTRAP_FLAGS), duration: durationMs },
      machine,
      tools: { ...shared, io: createIo(own) },
      onChange: ({ pair }) => Promise.resolve(onPair(own, pair)),
      onTrust: () => {},
    }, signal);
  };
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

/** The machine to bootstrap: its name and its files. */
import { hostname } from "node:os";
import { resolve } from "node:path";
import { type NodeName, parseNodeName } from "../../../core/machine/node_name.ts";
import type { KeyAlgorithm } from "../../../core/pki/keys/key_algorithm.ts";
import type { BootstrapFlags } from "./flags.ts";
import type { Settings } from "../../framework/flags.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Io } from "../../io.ts";

/** The node name and the absolute paths of a machine. */
export interface Machine {
  readonly nodeName: NodeName;
  readonly kubeconfigPath: string;
  readonly certDir: string;
  /** The algorithm of new keys; kubelet's when it is absent. */
  readonly keyAlgorithm?: KeyAlgorithm | undefined;
}

/** Resolves the name and the paths. UsageError for an invalid node name. */
export function resolveMachine(settings: Settings<BootstrapFlags>, io: Pick<Io, "cwd">): Machine {
  const name = parseNodeName(settings.hostnameOverride ?? hostname());
  if (!name.ok) {
    const isGiven = settings.hostnameOverride !== undefined;
    throw new UsageError(
      name.error,
      isGiven
        ? "use the letters a to z without accents, digits, - and . only, such as buero-1"
        : "give the node's name with --hostname-override",
    );
  }
  return {
    nodeName: name.value,
    kubeconfigPath: resolve(io.cwd, settings.kubeconfig ?? ""),
    certDir: resolve(io.cwd, settings.certDir ?? ""),
    keyAlgorithm: settings.keyAlgorithm,
  };
}

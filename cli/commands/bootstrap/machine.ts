/** The machine to bootstrap, its name and its files, and the types that the parts of `tlsboot bootstrap` share. */
import { hostname } from "node:os";
import { resolve } from "node:path";
import { type NodeName, parseNodeName } from "../../../core/bootstrap/node_name.ts";
import type { FindBootstrapCluster } from "../../../client/bootstrap.ts";
import type { Connect } from "../../../client/transport/connect.ts";
import type { FilePort } from "../../../client/files.ts";
import type { KeyAlgorithm } from "../../../core/pki/key_algorithm.ts";
import type { Logger } from "../../../core/ports.ts";
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
  readonly keyAlgorithm?: KeyAlgorithm;
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
    ...(settings.keyAlgorithm === undefined ? {} : { keyAlgorithm: settings.keyAlgorithm }),
  };
}

/** The adapters of one run. */
export interface Tools {
  readonly io: Io;
  readonly files: FilePort;
  readonly connect: Connect;
  readonly logger: Logger;
  readonly findCluster: FindBootstrapCluster;
}

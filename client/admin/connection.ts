/** A connection to an API, with the rights of one user. */
import type { NodeNames } from "../../core/approval/evidence/inventory.ts";
import type { ResolvedCluster } from "../../core/kube/kubeconfig/context.ts";
import type { Transport } from "../../core/ports.ts";
import type { FilePort } from "../files.ts";
import type { ApiClient } from "../objects/api.ts";

/** The parts of a connection that reading an API and deciding in it need. */
export interface ApiHandle {
  readonly transport: Transport;
  readonly api: ApiClient;
  /** Looks up the names and addresses of the server, which no node may have; rejects while they cannot be found out. */
  readonly serverNames: () => Promise<NodeNames>;
}

/** A connection that was opened for a user of the command line. */
export interface ApiConnection extends ApiHandle, AsyncDisposable {
  /** The server and the credentials of the connection. */
  readonly cluster: ResolvedCluster;
  /** The files that the cluster names, such as its CA. */
  readonly files: FilePort;
}

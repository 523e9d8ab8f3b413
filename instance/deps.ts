/** The adapters of an instance and its controllers, which the composition root chooses. */
import type { Clock, Logger, Random } from "../core/ports.ts";
import type { FilePort } from "../client/files.ts";
import type { ControllerMetrics } from "../server/mod.ts";
import type { CaKeys } from "./authority/keys.ts";
import type { Heap } from "./quiet_heap.ts";
import type { FindRevokedRequest } from "../core/approval/decide_from_sources.ts";

/** The adapters of an instance. */
export interface InstanceDeps {
  readonly files: FilePort;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly cwd: string;
  /** The variables of the environment, of which HTTPS_PROXY and NO_PROXY are read; by default none. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  readonly keys: CaKeys;
  /** The heap; undefined when the runtime cannot collect on request. */
  readonly heap: Heap | undefined;
  /** The descriptor of a listening socket that systemd has passed. */
  readonly passedSocket?: number | undefined;
  /** Receives audit lines for the audit log `-`. */
  readonly stdout: { write(text: string): void };
}

/** The adapters that every controller needs. */
export interface ControllerDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The number of names that the signer and the approver process at once. Default: as upstream. */
  readonly workers?: number;
  /** Records the metrics of the queues. */
  readonly metrics?: ControllerMetrics;
  /** Checks for revocations before a request is approved or signed. */
  readonly findRevoked?: FindRevokedRequest;
}

/** Types that the parts of `tlsboot bootstrap` share. */
import type { FindBootstrapCluster } from "../../../client/bootstrap.ts";
import type { Connect } from "../../../client/transport/connect.ts";
import type { CredentialPair } from "../../../core/bootstrap/credential_pair.ts";
import type { FilePort } from "../../../client/files.ts";
import type { Logger } from "../../../core/ports.ts";
import type { Io } from "../../io.ts";

/** The adapters of one run. */
export interface Tools {
  readonly io: Io;
  readonly files: FilePort;
  readonly connect: Connect;
  readonly logger: Logger;
  readonly findCluster: FindBootstrapCluster;
}

/** A change of a certificate: the new pair, which is stored already. */
export interface PairChange {
  readonly purpose: "client" | "serving";
  readonly pair: CredentialPair;
  /** The link that programs read. */
  readonly certificatePath: string;
}

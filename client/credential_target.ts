/** Where a certificate is to go, and where its key waits for it. */
import type { CredentialPair } from "../core/bootstrap/credential_pair.ts";
import type { ExistingCredentials } from "../core/csr/renewal.ts";

/** A pair folder, a kubeconfig: anything that holds one key with its certificate. */
export interface CredentialTarget {
  /** The key is kept here before anybody is asked, and until its certificate is stored. */
  readonly pendingKeyPath: string;
  /** What is there now. A switch that was interrupted is finished first. */
  existing(): Promise<ExistingCredentials>;
  /** Stores a pair in one step; what was there stays until then. */
  update(pair: CredentialPair): Promise<void>;
}

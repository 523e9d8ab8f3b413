/** TokenRequest, the body of `serviceaccounts/token` (staging `k8s.io/api/authentication/v1/types.go`). */
import type { KubeObject } from "./meta.ts";

/** A request for a token of a service account; the answer has the token in its status. */
export interface TokenRequest extends KubeObject {
  readonly spec: TokenRequestSpec;
  readonly status: TokenRequestStatus;
}

/** The properties that a client requests for a token. */
export interface TokenRequestSpec {
  /** Without any, the token is meant for the API server. */
  readonly audiences?: readonly string[] | null;
  readonly expirationSeconds?: number | null;
  readonly boundObjectRef?: BoundObjectReference | null;
  readonly attestations?: Readonly<Record<string, readonly string[]>>;
}

/** The object with whose deletion a token ends. */
export interface BoundObjectReference {
  readonly kind?: string;
  readonly apiVersion?: string;
  readonly name?: string;
  readonly uid?: string;
}

/** The issued token, which the server fills in. */
export interface TokenRequestStatus {
  readonly token: string;
  readonly expirationTimestamp: string | null;
}

/** What an authenticator sees and answers. */
import type { UserInfo } from "../../core/kube/user.ts";
import type { PeerCertificate } from "./peer_certificate.ts";

/** The credentials of one request. */
export interface AuthnRequest {
  readonly authorizationHeader: string | undefined;
  /** Undefined when the client showed none. */
  readonly peerCertificate: PeerCertificate | undefined;
  /** The audiences one of which the credential must be meant for; this server's own by default. */
  readonly audiences?: readonly string[];
  /** The same credentials were let in before, and are asked about again: metrics count them once. */
  readonly isRepeated?: boolean;
}

/** Who asks. `warnings` go to the client as Warning headers. */
export type AuthnResult =
  | {
    readonly kind: "user";
    readonly user: UserInfo;
    /** Those of the wanted audiences that the credential is meant for. */
    readonly audiences: readonly string[];
    readonly warnings?: readonly string[];
  }
  /** Nothing was shown, and anonymous requests are allowed. */
  | { readonly kind: "anonymous"; readonly user: UserInfo; readonly warnings?: readonly string[] }
  /** 401. What was wrong with what was shown, nothing when nothing was; never with a credential in it. */
  | { readonly kind: "unauthorized"; readonly failures: readonly string[]; readonly warnings?: readonly string[] };

/** Decides who asks. */
export type Authenticator = (request: AuthnRequest) => Promise<AuthnResult>;

/** One method's answer: a user, nothing of its kind was shown, or what was shown is bad. */
export type MethodResult =
  | { readonly kind: "user"; readonly user: UserInfo }
  | { readonly kind: "none" }
  | { readonly kind: "failed"; readonly reason: string };

/** Tries one bearer token: `none` when it is not this authenticator's, or not good. */
export type TokenAuthenticator = (token: string) => Promise<Exclude<MethodResult, { readonly kind: "failed" }>>;

/** What an authenticator sees and answers. */
import type { UserInfo } from "../../core/kube/user.ts";
import type { PeerCertificate } from "./peer_certificate.ts";

/** The credentials of one request. */
export interface AuthnRequest {
  readonly authorizationHeader: string | undefined;
  /** Undefined when the client showed none. */
  readonly peerCertificate: PeerCertificate | undefined;
}

/** Who asks. `warnings` go to the client as Warning headers. */
export type AuthnResult =
  | { readonly kind: "user"; readonly user: UserInfo; readonly warnings?: readonly string[] }
  /** Nothing was shown, and anonymous requests are allowed. */
  | { readonly kind: "anonymous"; readonly user: UserInfo; readonly warnings?: readonly string[] }
  /** 401. The reason is for the log only; it never holds a credential. */
  | { readonly kind: "unauthorized"; readonly reason: string; readonly warnings?: readonly string[] };

/** Decides who asks. */
export type Authenticator = (request: AuthnRequest) => Promise<AuthnResult>;

/** One method's answer: a user, nothing of its kind was shown, or what was shown is bad. */
export type MethodResult =
  | { readonly kind: "user"; readonly user: UserInfo }
  | { readonly kind: "none" }
  | { readonly kind: "failed"; readonly reason: string };

/** Tries one bearer token: `none` when it is not this authenticator's. */
export type TokenAuthenticator = (token: string) => Promise<MethodResult>;

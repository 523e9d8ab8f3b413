/** The input and the result of an authenticator. */
import type { UserInfoWire } from "../../core/kube/kinds/authentication_v1.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import { omitEmpty } from "../../core/lib/record.ts";
import { ok, type Result } from "../../core/lib/result.ts";
import { type CertificateFacts, parseCertificate } from "../../core/pki/x509/certificate.ts";

/**
 * The longest time, in milliseconds, for which a credential is accepted after another server has acknowledged its
 * revocation.
 */
export const REVOKED_WITHIN_MS = 500;

/** The credentials of one request. */
export interface AuthnRequest {
  readonly authorizationHeader: string | undefined;
  /** Undefined when the client presented no certificate. */
  readonly peerCertificate: PeerCertificate | undefined;
  /**
   * The address of the connection, without its port. Undefined when someone else presents the credential, as in a
   * TokenReview; a token that is limited to networks is then refused.
   */
  readonly remoteAddress?: string;
  /** The credential must be meant for one of these audiences; by default those of this server. */
  readonly audiences?: readonly string[];
  /** The same credentials were authenticated before, so metrics do not count them again. */
  readonly isRepeated?: boolean;
}

/** The result of authentication. The client gets the `warnings` as Warning headers. */
export type AuthnResult =
  | {
    readonly kind: "user";
    readonly user: UserInfo;
    /** The requested audiences that the credential is meant for. */
    readonly audiences: readonly string[];
    readonly warnings?: readonly string[];
    readonly auditAnnotations?: Readonly<Record<string, string>>;
    /** A node that presented its expired certificate: it may only request its next one (`server/authn/node_recovery.ts`). */
    readonly isRecovering?: true;
  }
  /** The client presented no credentials, and anonymous requests are allowed. */
  | { readonly kind: "anonymous"; readonly user: UserInfo; readonly warnings?: readonly string[] }
  /**
   * The answer is 401. `failures` say why the presented credentials were refused; they never contain a credential, and
   * are empty when the client presented none. `refusal` says, for the audit log, why a genuine
   * credential was refused.
   */
  | {
    readonly kind: "unauthorized";
    readonly failures: readonly string[];
    readonly refusal?: string;
    readonly warnings?: readonly string[];
  };

/** Identifies the user behind the credentials of a request. */
export type Authenticator = (request: AuthnRequest) => Promise<AuthnResult>;

/** The result of one method: a user, no credential of its kind, or a credential that is not valid. */
export type MethodResult =
  | {
    readonly kind: "user";
    readonly user: UserInfo;
    /** The requested audiences that the credential is meant for, if it names audiences. */
    readonly audiences?: readonly string[];
    readonly auditAnnotations?: Readonly<Record<string, string>>;
  }
  | { readonly kind: "none" }
  /** `isGenuine` marks a valid credential that this server refuses. */
  | { readonly kind: "failed"; readonly reason: string; readonly isGenuine?: true };

/** Checks one bearer token: `none` when the token belongs to another authenticator or is not valid. */
export type TokenAuthenticator = (
  token: string,
  request: Pick<AuthnRequest, "remoteAddress" | "isRepeated" | "audiences">,
) => Promise<MethodResult>;

/**
 * A certificate that a client presented. It counts as verified only when the socket has `authorized === true`: the
 * listener does not end a handshake because of a bad certificate.
 */
export type PeerCertificate =
  & {
    /** The chain in DER: the leaf, then its issuers as far as they are known. */
    readonly chain: readonly Uint8Array<ArrayBuffer>[];
  }
  & ({ readonly kind: "verified" } | { readonly kind: "unverified"; readonly reason: string });

/** Converts a user to the form in API objects, which omits empty fields. */
export function toWireUser({ username, uid, groups, extra }: UserInfo): UserInfoWire {
  return {
    ...omitEmpty({ username, uid, groups }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
}

/** Parses the certificates that a client presented, leaf first. The error is the parser's text. */
export function parsePeerChain(
  chain: readonly Uint8Array<ArrayBuffer>[],
): Result<readonly CertificateFacts[], string> {
  const certificates: CertificateFacts[] = [];
  for (const der of chain) {
    const facts = parseCertificate(der);
    if (!facts.ok) return facts;
    certificates.push(facts.value);
  }
  return ok(certificates);
}

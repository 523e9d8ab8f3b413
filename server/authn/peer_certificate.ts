/** What the TLS layer says of a client certificate. */

/**
 * A certificate that a client showed. Only a socket that says `authorized === true` counts as verified: the listener
 * does not end a handshake because of a bad certificate, and a filled-in certificate proves nothing.
 */
export type PeerCertificate =
  /** DER, leaf first, then the issuers as far as they are known. */
  | { readonly kind: "verified"; readonly chain: readonly Uint8Array<ArrayBuffer>[] }
  | { readonly kind: "unverified"; readonly reason: string };

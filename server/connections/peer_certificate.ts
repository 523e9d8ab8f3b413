/** Reads the client certificate of a TLS connection. */
import { Buffer } from "node:buffer";
import type { DetailedPeerCertificate, TLSSocket } from "node:tls";
import type { PeerCertificate } from "../authn/authentication.ts";

/** The certificate of each connection that was read before; null for a connection without one. */
const peers = new WeakMap<object, PeerCertificate | null>();

/**
 * Finds the certificate that a client presented. Only a socket with `authorized === true` counts as verified: on Deno a
 * handshake with the X.509 v1 certificate of another subject completes, unauthorized but with the certificate filled in.
 */
export function findPeerCertificate(socket: TLSSocket): PeerCertificate | undefined {
  let peer = peers.get(socket);
  if (peer === undefined) peers.set(socket, peer = readPeer(socket));
  return peer ?? undefined;
}

function readPeer(socket: TLSSocket): PeerCertificate | null {
  const shown = socket.getPeerCertificate?.(true) as DetailedPeerCertificate | undefined;
  if (shown === undefined || shown === null || shown.raw === undefined) return null;
  return socket.authorized === true
    ? { kind: "verified", chain: readChain(shown) }
    : { kind: "unverified", reason: String(socket.authorizationError ?? "not authorized") };
}

function readChain(leaf: DetailedPeerCertificate): readonly Uint8Array<ArrayBuffer>[] {
  const chain: Uint8Array<ArrayBuffer>[] = [];
  const seen = new Set<string>();
  let next: DetailedPeerCertificate | undefined = leaf;
  while (next?.raw !== undefined) {
    const key = Buffer.from(next.raw).toString("base64");
    if (seen.has(key)) break;
    seen.add(key);
    chain.push(new Uint8Array(next.raw));
    next = next.issuerCertificate;
  }
  return chain;
}

/** The TLS context of the listener, and the client certificate of a connection. */
import { Buffer } from "node:buffer";
import type { DetailedPeerCertificate, SecureContextOptions, TLSSocket } from "node:tls";
import type { PeerCertificate } from "../authn/authentication.ts";

/** The serving certificate (leaf first) and its key, in PEM. */
export interface ServingPair {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** The ciphers of TLS 1.3, and those of TLS 1.2 with forward secrecy and authenticated encryption. */
const CIPHERS = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

export interface TlsCertificates {
  readonly serving: ServingPair;
  /** The PEM bundle that client certificates are verified against; undefined when none are trusted. */
  readonly clientCaPem: string | undefined;
}

/**
 * Creates the options of a TLS context. `setSecureContext()` resets every missing option to Node's default, so it always
 * gets all of them.
 */
export function createTlsContext({ serving, clientCaPem }: TlsCertificates): SecureContextOptions {
  return {
    minVersion: "TLSv1.2",
    ciphers: CIPHERS,
    cert: serving.certificatePem,
    key: serving.privateKeyPem,
    ...(clientCaPem === undefined ? {} : { ca: clientCaPem }),
  };
}

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
  const chain = readChain(shown);
  return socket.authorized === true
    ? { kind: "verified", chain }
    : { kind: "unverified", reason: String(socket.authorizationError ?? "not authorized"), chain };
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

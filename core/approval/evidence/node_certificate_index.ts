/**
 * The client certificates of nodes, from the register of issued certificates and from requests. The certificate of a
 * request is kept until it expires, because the request itself is deleted within hours.
 */
import type { CertificateSigningRequest } from "../../kube/kinds/certificates_v1.ts";
import type { IssuedCertificate } from "../../kube/kinds/tlsboot_v1alpha1.ts";
import { getName } from "../../kube/meta.ts";
import type { Clock } from "../../ports.ts";
import { readNodeCertificate, readRecordedNodeCertificate } from "./claims.ts";
import type { NodeCertificate } from "./ownership.ts";

/** An index of the client certificates of nodes. */
export interface NodeCertificateIndex {
  /** Adds a request that was read or just written. */
  put(csr: CertificateSigningRequest): void;
  /** Adds a record of the register. */
  putRecord(record: IssuedCertificate): void;
  /** Removes a request that was deleted; its certificate stays in the index. */
  remove(requestName: string): void;
  /** Lists the certificates of a node that are not revoked, except that of one request, and those whose node is unknown. */
  find(node: string, exceptRequest: string): readonly NodeCertificate[];
}

interface Entry {
  readonly certificate: NodeCertificate;
  /** The name of the request, while it exists. */
  readonly request?: string;
  readonly isRevoked: boolean;
}

/** The largest number of nodes, to bound memory. The oldest entries are dropped first. */
const MAX_NODES = 100_000;

/**
 * Creates an empty index. It skips the requests for which `isRecorded` returns true, because a register has their
 * certificates.
 */
export function createNodeCertificateIndex(
  clock: Pick<Clock, "now">,
  isRecorded: (csr: CertificateSigningRequest) => boolean = () => false,
): NodeCertificateIndex {
  /** The certificates by node; undefined for those whose node is unknown. */
  const nodes = new Map<string | undefined, Map<string, Entry>>();
  const requests = new Map<string, { readonly node: string | undefined; readonly key: string }>();

  function set(key: string, entry: Entry): void {
    const { node } = entry.certificate;
    const now = clock.now();
    const own = nodes.get(node) ?? new Map<string, Entry>();
    for (const [other, { certificate }] of own) {
      if (certificate.notAfter !== undefined && certificate.notAfter <= now) own.delete(other);
    }
    nodes.delete(node);
    nodes.set(node, own.set(key, entry));
    const oldest = nodes.keys().find((known) => known !== undefined);
    if (nodes.size > MAX_NODES) nodes.delete(oldest);
  }

  function drop({ node, key }: { readonly node: string | undefined; readonly key: string }): void {
    const own = nodes.get(node);
    own?.delete(key);
    if (own?.size === 0) nodes.delete(node);
  }

  function put(csr: CertificateSigningRequest): void {
    const name = getName(csr);
    const before = requests.get(name);
    const certificate = isRecorded(csr) ? undefined : readNodeCertificate(csr);
    if (certificate === undefined) {
      if (before !== undefined) drop(before);
      requests.delete(name);
      return;
    }
    const key = certificate.fingerprint ?? `request ${name}`;
    if (before !== undefined && before.key !== key) drop(before);
    requests.set(name, { node: certificate.node, key });
    const isRevoked = nodes.get(certificate.node)?.get(key)?.isRevoked ?? false;
    set(key, { certificate, request: name, isRevoked });
  }

  function putRecord(object: IssuedCertificate): void {
    const certificate = readRecordedNodeCertificate(object);
    if (certificate === undefined) return;
    const key = certificate.fingerprint ?? `record ${getName(object)}`;
    const known = nodes.get(certificate.node)?.get(key);
    const isExpired = certificate.notAfter !== undefined && certificate.notAfter <= clock.now();
    if (known === undefined && isExpired) return;
    set(key, { ...known, certificate, isRevoked: object.status.revocation !== undefined });
  }

  return {
    put,
    putRecord,
    remove(name) {
      const known = requests.get(name);
      requests.delete(name);
      if (known === undefined) return;
      const entry = nodes.get(known.node)?.get(known.key);
      // A certificate outlives its request, but an approval without a certificate does not.
      if (entry?.certificate.fingerprint === undefined) drop(known);
      else set(known.key, { certificate: entry.certificate, isRevoked: entry.isRevoked });
    },
    find: (node, exceptRequest) =>
      [node, undefined].flatMap((known) => [...nodes.get(known)?.values() ?? []])
        .filter(({ isRevoked, request }) => !isRevoked && request !== exceptRequest)
        .map(({ certificate }) => certificate),
  };
}

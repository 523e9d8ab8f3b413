/** What a kubelet asks for to serve with (`kubelet-bootstrap.md` §9). */
import type { ServingNames } from "./node_addresses.ts";
import { type NodeName, nodeSubject } from "./node_name.ts";
import type { CertificateTemplate } from "./rotation.ts";

/** Usages of a serving certificate, first or renewed (`kubelet-bootstrap.md` §7.4). */
export function servingUsages(keyAlgorithm: "ECDSA" | "RSA" | "Ed25519"): readonly string[] {
  return keyAlgorithm === "RSA"
    ? ["digital signature", "key encipherment", "server auth"]
    : ["digital signature", "server auth"];
}

/** What the certificate should say; undefined while no address is known (1.31 and later want one beside names). */
export function servingTemplate(nodeName: NodeName, names: ServingNames): CertificateTemplate | undefined {
  return names.ipAddresses.length === 0 ? undefined : { ...nodeSubject(nodeName), ...names };
}

/** Which usages a kubelet asks for: key encipherment only where RSA makes it meaningful (1.27 and later). */
import type { ServingNames } from "./node_addresses.ts";
import { type NodeName, nodeSubject } from "./node_name.ts";
import type { CertificateTemplate } from "./rotation.ts";

/** Usages of the first request, in kubelet's order (`kubelet-bootstrap.md` §5.1); the order is part of its name. */
export function bootstrapUsages(keyAlgorithm: "ECDSA" | "RSA" | "Ed25519"): readonly string[] {
  return keyAlgorithm === "RSA"
    ? ["digital signature", "client auth", "key encipherment"]
    : ["digital signature", "client auth"];
}

/** Usages of a renewal, in the order of the certificate manager (`kubelet-bootstrap.md` §7.4). */
export function rotationUsages(keyAlgorithm: "ECDSA" | "RSA" | "Ed25519"): readonly string[] {
  return keyAlgorithm === "RSA"
    ? ["digital signature", "key encipherment", "client auth"]
    : ["digital signature", "client auth"];
}

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

/** What kubelet requests: usages (key encipherment for RSA keys only, since 1.27) and the names of a serving certificate. */
import type { ServingNames } from "./node_addresses.ts";
import { type NodeName, nodeSubject } from "./node_name.ts";
import type { CertificateTemplate } from "./rotation.ts";

/**
 * The usages of kubelet's first request, in kubelet's order, because the order is part of the request's name
 * (`pkg/kubelet/certificate/bootstrap/bootstrap.go` requestNodeCertificate).
 */
export function bootstrapUsages(keyAlgorithm: "ECDSA" | "RSA" | "Ed25519"): readonly string[] {
  return keyAlgorithm === "RSA"
    ? ["digital signature", "client auth", "key encipherment"]
    : ["digital signature", "client auth"];
}

/** The usages of a renewal, in the order of `pkg/kubelet/certificate/kubelet.go` NewKubeletClientCertificateManager. */
export function rotationUsages(keyAlgorithm: "ECDSA" | "RSA" | "Ed25519"): readonly string[] {
  return keyAlgorithm === "RSA"
    ? ["digital signature", "key encipherment", "client auth"]
    : ["digital signature", "client auth"];
}

/** The usages of every serving certificate (`pkg/kubelet/certificate/kubelet.go` NewKubeletServerCertificateManager). */
export function servingUsages(keyAlgorithm: "ECDSA" | "RSA" | "Ed25519"): readonly string[] {
  return keyAlgorithm === "RSA"
    ? ["digital signature", "key encipherment", "server auth"]
    : ["digital signature", "server auth"];
}

/** The contents of a serving certificate; undefined while no address is known, because kubelet 1.31 requires one. */
export function servingTemplate(nodeName: NodeName, names: ServingNames): CertificateTemplate | undefined {
  return names.ipAddresses.length === 0 ? undefined : { ...nodeSubject(nodeName), ...names };
}

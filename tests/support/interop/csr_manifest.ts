/** Manifests of CSRs whose PKCS#10 was made by OpenSSL, so that no code of ours vouches for itself. */
import { Buffer } from "node:buffer";
import { openssl } from "./openssl.ts";

/** The fields of a manifest; the default is a client's, for the built-in client signer. */
export interface ManifestOptions {
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly subject?: string;
}

const keys = new Map<string, Promise<string>>();

/** `spec.request`: base64 of a PEM request. Each subject has one key. */
export async function createRequest(subject: string): Promise<string> {
  const key = keys.get(subject) ?? openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
  keys.set(subject, key);
  const request = await openssl(["req", "-new", "-key", "/dev/stdin", "-subj", subject], await key);
  return Buffer.from(request).toString("base64");
}

export async function csrManifest(name: string, options: ManifestOptions = {}): Promise<string> {
  return JSON.stringify({
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    metadata: { name, ...options.metadata },
    spec: {
      request: await createRequest(options.subject ?? `/CN=${name}`),
      signerName: "kubernetes.io/kube-apiserver-client",
      usages: ["digital signature", "client auth"],
      ...options.spec,
    },
  });
}

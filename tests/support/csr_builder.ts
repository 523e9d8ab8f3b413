/** CSRs with real keys and signatures, from the few fields that matter to a test. */
import { encodeBase64 } from "../../core/lib/encodings.ts";
import type {
  CertificateSigningRequest,
  CertificateSigningRequestCondition,
  CertificateSigningRequestStatus,
} from "../../core/kube/kinds/certificates_v1.ts";
import { KUBELET_SERVING_SIGNER } from "../../core/kube/kinds/constants.ts";
import type { ObjectMeta } from "../../core/kube/meta.ts";
import { generatePrivateKey, type KeyAlgorithm, type PrivateKey } from "../../core/pki/keys/keys.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import { createCertificationRequest, type RequestOptions } from "../../core/pki/x509/pkcs10.ts";

/** The CSR to build; the default is a first request of the kubelet `n1`. */
export interface CsrOptions {
  readonly name?: string;
  readonly metadata?: ObjectMeta;
  readonly signerName?: string;
  readonly usages?: readonly string[];
  readonly expirationSeconds?: number;
  readonly commonName?: string;
  readonly organizations?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly emailAddresses?: readonly string[];
  readonly uris?: readonly string[];
  readonly username?: string;
  readonly groups?: readonly string[];
  readonly keyAlgorithm?: KeyAlgorithm;
  /** Replaces the request that is built from the other options. */
  readonly request?: string | null;
  readonly conditions?: readonly CertificateSigningRequestCondition[];
  /** The certificate in the status, base64 of its PEM. */
  readonly certificate?: string;
}

const keys = new Map<KeyAlgorithm, Promise<PrivateKey>>();

/** Returns one key of each algorithm for the whole run, because RSA keys are expensive. */
export async function sharedKey(algorithm: KeyAlgorithm = "ecdsa-p256"): Promise<PrivateKey> {
  const known = keys.get(algorithm) ?? generatePrivateKey(algorithm);
  keys.set(algorithm, known);
  return await known;
}

/** Builds `spec.request`: base64 of a PEM block. */
export async function buildRequest(options: RequestOptions, keyAlgorithm?: KeyAlgorithm): Promise<string> {
  const der = createCertificationRequest(options, await sharedKey(keyAlgorithm));
  return encodeBase64(encodePem("CERTIFICATE REQUEST", der));
}

/** Builds a request whose common name, of at least six letters, is changed after signing. */
export async function forgeRequest(commonName: string): Promise<string> {
  const der = Buffer.from(createCertificationRequest({ subject: { commonName } }, await sharedKey()));
  der.write("forged", der.indexOf(commonName));
  return encodeBase64(encodePem("CERTIFICATE REQUEST", Uint8Array.from(der)));
}

export async function buildCsr(options: CsrOptions = {}): Promise<CertificateSigningRequest> {
  const {
    commonName = "system:node:n1",
    organizations = ["system:nodes"],
    dnsNames = [],
    ipAddresses = [],
    emailAddresses = [],
    uris = [],
  } = options;
  const subject = { commonName, organizations };
  const request = options.request === undefined
    ? await buildRequest({ subject, dnsNames, ipAddresses, emailAddresses, uris }, options.keyAlgorithm)
    : options.request;
  return {
    kind: "CertificateSigningRequest",
    apiVersion: "certificates.k8s.io/v1",
    metadata: { name: options.name ?? "csr-1", ...options.metadata },
    spec: {
      request,
      signerName: options.signerName ?? "kubernetes.io/kube-apiserver-client-kubelet",
      ...(options.expirationSeconds === undefined ? {} : { expirationSeconds: options.expirationSeconds }),
      usages: options.usages ?? ["digital signature", "client auth"],
      username: options.username ?? "system:bootstrap:abcdef",
      groups: options.groups ?? ["system:bootstrappers", "system:authenticated"],
    },
    status: createStatus(options),
  };
}

/** Creates a condition of status `True` with this time in both of its times. */
export function condition(type: string, time: string | null = null, reason = ""): CertificateSigningRequestCondition {
  return {
    type,
    status: "True",
    ...(reason === "" ? {} : { reason }),
    lastUpdateTime: time,
    lastTransitionTime: time,
  };
}

/** Decodes base64 into text, as in `spec.request` and `status.certificate`. */
export function fromBase64(base64: string): string {
  return Buffer.from(base64, "base64").toString();
}

function createStatus({ conditions, certificate }: CsrOptions): CertificateSigningRequestStatus {
  return {
    ...(conditions === undefined ? {} : { conditions }),
    ...(certificate === undefined ? {} : { certificate }),
  };
}

/** Returns the options of a kubelet's serving certificate request. */
export function servingOptions(node: string): CsrOptions {
  return {
    signerName: KUBELET_SERVING_SIGNER,
    username: `system:node:${node}`,
    groups: ["system:nodes", "system:authenticated"],
    commonName: `system:node:${node}`,
    dnsNames: [`${node}.example`],
    usages: ["digital signature", "server auth"],
  };
}

/** Checks that certificate and key of a TLS Secret belong together, with the errors of Go's `tls.X509KeyPair`. */
import { parseCertificate } from "../../core/pki/x509/certificate.ts";
import { parsePrivateKey, publicKeysEqual } from "../../core/pki/keys/keys.ts";
import { isMlDsa, isPrivateKeyAlgorithm, type KeyAlgorithmOptions } from "../../core/pki/keys/key_algorithm.ts";
import { encodePem, parsePemBlocks, type PemBlock } from "../../core/pki/asn1/pem.ts";

/** Finds what is wrong with a certificate and its key. The message shows nothing of the key. */
export function findTlsPairFault(
  certificatePem: string,
  keyPem: string,
  { allowMlDsa = false }: KeyAlgorithmOptions = {},
): string | undefined {
  const certificates = parsePemBlocks(certificatePem);
  const leaf = certificates.find(({ label }) => label === "CERTIFICATE");
  if (leaf === undefined) return missingCertificate(certificates.map(({ label }) => label));
  const keys = parsePemBlocks(keyPem);
  const block = keys.find(isPrivateKey);
  if (block === undefined) return missingKey(keys.map(({ label }) => label));
  const certificate = parseCertificate(leaf.bytes);
  if (!certificate.ok) return certificate.error;
  const key = parsePrivateKey(encodePem(block.label, block.bytes));
  // Go before 1.27, with which kube-apiserver 1.37 is built, parses no ML-DSA key.
  if (!key.ok || (isMlDsa(key.value.algorithm) && !allowMlDsa)) return "tls: failed to parse private key";
  const { publicKey } = certificate.value;
  const isKnown = isPrivateKeyAlgorithm(publicKey.algorithm) && (allowMlDsa || !isMlDsa(publicKey.algorithm));
  if (!isKnown) return "tls: unknown public key algorithm";
  if (publicKey.algorithm !== key.value.algorithm) return "tls: private key type does not match public key type";
  const fits = publicKeysEqual(certificate.value.publicKeyDer, key.value.publicKeyDer());
  return fits ? undefined : "tls: private key does not match public key";
}

function isPrivateKey({ label }: PemBlock): boolean {
  return label === "PRIVATE KEY" || label.endsWith(" PRIVATE KEY");
}

function missingCertificate(labels: readonly string[]): string {
  if (labels.length === 0) return "tls: failed to find any PEM data in certificate input";
  if (labels.length === 1 && labels[0]?.endsWith("PRIVATE KEY")) {
    return "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may " +
      "have been switched";
  }
  return 'tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following ' +
    `types: [${labels.join(" ")}]`;
}

function missingKey(labels: readonly string[]): string {
  if (labels.length === 0) return "tls: failed to find any PEM data in key input";
  if (labels.length === 1 && labels[0] === "CERTIFICATE") {
    return "tls: found a certificate rather than a key in the PEM for the private key";
  }
  return 'tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the ' +
    `following types: [${labels.join(" ")}]`;
}

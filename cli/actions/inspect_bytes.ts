/** Recognises what bytes hold: PEM, DER or a kubeconfig. */
import { type CertificateFacts, parseCertificate } from "../../core/pki/certificate.ts";
import { parsePrivateKey, type PrivateKey } from "../../core/pki/keys.ts";
import { encodePem, parsePemBlocks, type PemBlock } from "../../core/pki/pem.ts";
import { parseCertificationRequest } from "../../core/pki/pkcs10.ts";
import { describeCertificate, describeKey, describeRequestFacts, describeUnreadable } from "./inspect_facts.ts";
import { inspectKubeconfig } from "./inspect_kubeconfig.ts";

/** One thing that was found. */
export interface Finding {
  /** `certificate "CN=…"`. */
  readonly title: string;
  /** Names and values for people. */
  readonly lines: readonly (readonly [string, string])[];
  /** For `-o json`; always has `kind`. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** It cannot be used: a certificate in it has expired or is not valid yet, or a key does not belong to it. */
  readonly isUnusable: boolean;
  /** The certificate that it is. */
  readonly certificate?: CertificateFacts;
  /** The private key that it is. */
  readonly key?: PrivateKey;
  /** True for what others must not read: private keys, and kubeconfigs that hold one or a token. */
  readonly isSecret?: boolean;
}

/** A SEQUENCE, which every DER structure here starts with. */
const DER_SEQUENCE = 0x30;

/** Everything in the bytes, in order; empty when nothing is recognised. `path` is where a kubeconfig's paths start. */
export async function inspectBytes(
  bytes: Uint8Array<ArrayBuffer>,
  path: string,
  now: Date,
): Promise<readonly Finding[]> {
  const text = new TextDecoder("latin1").decode(bytes);
  const blocks = parsePemBlocks(text);
  if (blocks.length > 0) return inspectBlocks(blocks, now);
  if (bytes[0] === DER_SEQUENCE) {
    const found = inspectDer(bytes, now);
    return found === undefined ? [] : [found];
  }
  return await inspectKubeconfig(new TextDecoder().decode(bytes), path, now);
}

function inspectBlocks(blocks: readonly PemBlock[], now: Date): readonly Finding[] {
  return blocks.map((block) => {
    if (block.label === "CERTIFICATE") {
      const certificate = parseCertificate(block.bytes);
      return certificate.ok
        ? describeCertificate(certificate.value, now)
        : describeUnreadable("certificate", certificate.error);
    }
    if (block.label === "CERTIFICATE REQUEST" || block.label === "NEW CERTIFICATE REQUEST") {
      const request = parseCertificationRequest(block.bytes);
      return request.ok ? describeRequestFacts(request.value) : describeUnreadable("certificateRequest", request.error);
    }
    if (block.label.endsWith("PRIVATE KEY")) {
      const headers = Object.entries(block.headers).map(([name, value]) => `${name}: ${value}\n`).join("");
      const pem = encodePem(block.label, block.bytes);
      const key = parsePrivateKey(headers === "" ? pem : pem.replace("\n", () => `\n${headers}\n`));
      return key.ok ? describeKey(key.value) : describeUnreadable("privateKey", key.error);
    }
    return describeUnreadable("unknown", `a PEM block "${block.label}" is not known here`);
  });
}

function inspectDer(bytes: Uint8Array<ArrayBuffer>, now: Date): Finding | undefined {
  const certificate = parseCertificate(bytes);
  if (certificate.ok) return describeCertificate(certificate.value, now);
  const request = parseCertificationRequest(bytes);
  if (request.ok) return describeRequestFacts(request.value);
  for (const label of ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"]) {
    const key = parsePrivateKey(encodePem(label, bytes));
    if (key.ok) return describeKey(key.value);
  }
  return undefined;
}

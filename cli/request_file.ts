/** Parses certificate requests from files, which get the same checks as requests from an API. */
import { Buffer } from "node:buffer";
import type { CertificateSigningRequest } from "../core/kube/kinds/certificates_v1.ts";
import { encodeBase64 } from "../core/lib/base64.ts";
import { err, ok, type Result } from "../core/lib/result.ts";
import { encodePem, parsePemBlocks } from "../core/pki/asn1/pem.ts";
import { parseCertificationRequest, type RequestFacts } from "../core/pki/x509/pkcs10.ts";
import { signerUsages } from "../core/pki/x509/usages.ts";

/** The parts of a CSR object that the command line provides for a request file. */
export interface RequestFileOptions {
  readonly signerName: string;
  /** The usages; when empty, those of the signer or its profile. */
  readonly usages: readonly string[];
  readonly expirationSeconds?: number | undefined;
}

/** A request from a file, as a CSR object. */
export interface FileRequest {
  readonly csr: CertificateSigningRequest;
  readonly facts: RequestFacts;
}

/** The PEM labels of a request; Netscape and old Windows tools write the second one. */
const LABELS: readonly string[] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

/** Parses exactly one request in PEM or DER; anything else in the file is an error. */
export function parseRequestFile(
  name: string,
  bytes: Uint8Array,
  asked: RequestFileOptions,
): Result<FileRequest, string> {
  const der = findDer(bytes);
  if (!der.ok) return der;
  const facts = parseCertificationRequest(der.value);
  if (!facts.ok) return err(facts.error);
  const { signerName, expirationSeconds } = asked;
  const pem = encodePem("CERTIFICATE REQUEST", der.value);
  return ok({
    facts: facts.value,
    csr: {
      apiVersion: "certificates.k8s.io/v1",
      kind: "CertificateSigningRequest",
      metadata: { name },
      spec: {
        request: encodeBase64(pem),
        signerName,
        // A custom profile has its own default.
        usages: asked.usages.length > 0 ? asked.usages : signerUsages(signerName, facts.value.keyAlgorithm) ?? [],
        ...(expirationSeconds === undefined ? {} : { expirationSeconds }),
      },
      status: {},
    },
  });
}

function findDer(bytes: Uint8Array): Result<Uint8Array<ArrayBuffer>, string> {
  const text = Buffer.from(bytes).toString("latin1");
  const begun = text.split("-----BEGIN ").length - 1;
  if (begun === 0) return bytes.length === 0 ? err("the file is empty") : ok(new Uint8Array(bytes));
  const blocks = parsePemBlocks(text);
  const [block] = blocks;
  if (block === undefined || begun !== blocks.length) return err("a PEM block is damaged");
  if (!LABELS.includes(block.label)) return err(`it holds a ${block.label}, not a CERTIFICATE REQUEST`);
  return begun > 1 ? err("it holds more than one PEM block; give one request in a file") : ok(block.bytes);
}

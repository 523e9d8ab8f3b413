/**
 * Signs a request by the rules of a signer, without an API. Requests in files get the same checks as those from an API.
 */
import { basename } from "node:path";
import { Buffer } from "node:buffer";
import { verifyRequest } from "../../core/request/parse_request.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { AppError } from "../../core/errors.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";
import { type CertificatePlan, encodeIssued, issueCertificate, SERIAL_BYTES } from "../../core/pki/authority/issue.ts";
import { chainNotAfter } from "../../core/pki/x509/ca_bundle.ts";
import { encodePem, parsePemBlocks } from "../../core/pki/asn1/pem.ts";
import { parseCertificationRequest, type RequestFacts } from "../../core/pki/x509/pkcs10.ts";
import { signerUsages } from "../../core/pki/x509/usages.ts";
import type { Clock, Random } from "../../core/ports.ts";
import { type ClientTrust, planCertificate, type SigningProfile } from "../../core/signing/profile.ts";
import { findSubjectRestriction } from "../../core/request/validate.ts";
import { encodeBase64 } from "../../core/lib/encodings.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";

/** The rules and the CA for all requests of a run. */
export interface RequestSigning {
  readonly profile: SigningProfile;
  readonly authority: Authority;
  readonly clientTrust: ClientTrust;
  readonly asked: RequestFileOptions;
  readonly signingDurationSeconds: number;
  /** Whether requests for ML-DSA keys are signed. */
  readonly allowMlDsa?: boolean;
  /** Records a certificate (DER) before it is returned. */
  readonly record?: ((certificate: Uint8Array<ArrayBuffer>) => Promise<void>) | undefined;
  /** Whether the intermediates of the CA follow each certificate. */
  readonly chain: boolean;
}

/** A request that the rules of its signer allow, and the certificate that it gets. */
export interface PlannedRequest extends FileRequest {
  readonly plan: CertificatePlan;
}

/**
 * Plans the certificate of a request without signing anything. `file` is the path of the request in messages. Throws
 * AppError `csr_denied` when the rules refuse it, `invalid` when it is not a request, or `ca_expired`.
 */
export function planRequest(
  bytes: Uint8Array,
  file: string,
  signing: Omit<RequestSigning, "record" | "chain">,
  { clock }: { readonly clock: Pick<Clock, "now"> },
): PlannedRequest {
  const { profile, authority, clientTrust, allowMlDsa = false } = signing;
  const request = parseRequestFile(basename(file), bytes, signing.asked);
  if (!request.ok) throw new AppError("invalid", `cannot sign "${file}": ${request.error}`);
  const { csr, facts } = request.value;
  const verified = verifyRequest(facts, { allowMlDsa });
  const fault = verified.ok ? findSubjectRestriction(profile.signerName, facts.subject.organizations) : verified.error;
  if (fault !== undefined) throw createRefusal(file, fault);
  const plan = planCertificate({
    csr,
    facts,
    profile,
    caNotAfter: chainNotAfter(authority),
    issuers: [authority.certificate, ...authority.issuers],
    clientTrust,
    signingDurationSeconds: signing.signingDurationSeconds,
    allowMlDsa,
    now: clock.now(),
  });
  if (plan.ok) return { csr, facts, plan: plan.value };
  if (plan.error.kind === "failed") throw createRefusal(file, plan.error.message);
  throw new AppError("ca_expired", `cannot sign "${file}": ${plan.error.message}`);
}

/**
 * Signs a request and returns the certificate, PEM, followed by its chain. Throws as `planRequest` does, and what
 * recording throws.
 */
export async function signRequest(
  bytes: Uint8Array,
  file: string,
  signing: RequestSigning,
  deps: { readonly clock: Pick<Clock, "now">; readonly random: Random },
): Promise<string> {
  const { plan } = planRequest(bytes, file, signing, deps);
  const der = await issueCertificate(plan, signing.authority, deps.random.bytes(SERIAL_BYTES));
  await signing.record?.(der);
  return encodeIssued(der, signing.authority, signing.chain);
}

function createRefusal(file: string, why: string): AppError {
  return new AppError("csr_denied", `cannot sign "${file}": ${why}`, {
    hint: "see its contents with: tlsboot inspect FILE",
  });
}

/** The parts of a CSR object that the command line provides for a request file. */
interface RequestFileOptions {
  readonly signerName: string;
  /** The usages. If empty, those of the signer or its profile. */
  readonly usages: readonly string[];
  readonly expirationSeconds?: number | undefined;
}

/** A request from a file, as a CSR object. */
interface FileRequest {
  readonly csr: CertificateSigningRequest;
  readonly facts: RequestFacts;
}

/** The PEM labels of a request; Netscape and old Windows tools write the second one. */
const LABELS: readonly string[] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

/** Parses a file with exactly one request, PEM or DER. */
export function parseRequestFile(
  name: string,
  bytes: Uint8Array,
  asked: RequestFileOptions,
): Result<Omit<PlannedRequest, "plan">, string> {
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
  if (!LABELS.includes(block.label)) return err(`it contains a ${block.label}, not a CERTIFICATE REQUEST`);
  return begun > 1 ? err("it contains more than one PEM block; give one request in a file") : ok(block.bytes);
}

/** Reads and compares the outcomes of approved requests. */
import { Buffer } from "node:buffer";
import type { Child } from "../child.ts";
import { DerReader, TAG } from "../../../core/pki/asn1/der.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import { parseCertificate } from "../../../core/pki/x509/certificate.ts";
import type { Kubectl } from "./kubectl.ts";
import { openssl } from "./openssl.ts";
import type { SigningRequest } from "./signing_requests.ts";

export type Outcome =
  | { readonly kind: "issued"; readonly pem: string; readonly after: Date }
  | { readonly kind: "failed"; readonly condition: unknown }
  | { readonly kind: "retried"; readonly error: string };

const TIMEOUT_MS = 180_000;
/** The largest difference between two signers in the time from approval to signing. */
const TOLERANCE_MS = 60_000;

/** Waits until each request has an outcome. */
export async function waitForOutcomes(
  kubectl: Kubectl,
  requests: readonly SigningRequest[],
  signer: Child,
): Promise<ReadonlyMap<string, Outcome>> {
  const deadline = Date.now() + TIMEOUT_MS;
  for (;;) {
    const list: { readonly items: readonly CertificateSigningRequest[] } = JSON.parse(
      await kubectl.run("get", "csr", "--output=json"),
    );
    const outcomes = new Map<string, Outcome>();
    const log = signer.stderr();
    for (const csr of list.items) {
      const outcome = findOutcome(csr, log);
      if (outcome !== undefined) outcomes.set(csr.metadata.name ?? "", outcome);
    }
    const missing = requests.filter(({ csr }) => !outcomes.has(csr));
    if (missing.length === 0) return outcomes;
    if (Date.now() > deadline || signer.hasEnded()) {
      throw new Error(`no outcome: ${missing.map(({ name }) => name).join("; ")}\n${log.slice(-4_000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

function findOutcome({ metadata, status }: CertificateSigningRequest, log: string): Outcome | undefined {
  const { conditions = [], certificate } = status;
  if (certificate !== undefined && certificate !== "") {
    const after = new Date(conditions.find(({ type }) => type === "Approved")?.lastUpdateTime ?? 0);
    return { kind: "issued", pem: Buffer.from(certificate, "base64").toString("latin1"), after };
  }
  const failed = conditions.find(({ type }) => type === "Failed");
  if (failed !== undefined) {
    const { lastUpdateTime: _updated, lastTransitionTime: _transition, ...condition } = failed;
    return { kind: "failed", condition };
  }
  const error = findTheirError(log, metadata.name ?? "") ?? findOurError(log, metadata.name ?? "");
  return error === undefined ? undefined : { kind: "retried", error };
}

/** Finds the error in the log of kube-controller-manager. */
function findTheirError(log: string, name: string): string | undefined {
  for (const [, quoted = '""'] of log.matchAll(/ err=("(?:[^"\\]|\\.)*")/g)) {
    const text: unknown = JSON.parse(quoted);
    const prefix = `Sync ${name} failed with : `;
    if (typeof text === "string" && text.startsWith(prefix)) return text.slice(prefix.length);
  }
  return undefined;
}

/** Finds the error in the log of tlsboot, whose last line may be incomplete. */
function findOurError(log: string, name: string): string | undefined {
  for (const line of log.split("\n").slice(0, -1).filter((one) => one.includes("reconciliation failed"))) {
    const entry: { readonly properties?: unknown; readonly name?: unknown; readonly error?: unknown } = JSON.parse(
      line,
    );
    if (entry.name === name && typeof entry.error === "string") return entry.error;
  }
  return undefined;
}

/** Describes how two outcomes differ, except in the serial number, the signature and the time of signing. */
export async function compareOutcomes(theirs: Outcome, ours: Outcome): Promise<readonly string[]> {
  if (theirs.kind !== "issued" || ours.kind !== "issued") {
    const [want, got] = [JSON.stringify(toText(theirs)), JSON.stringify(toText(ours))];
    return want === got ? [] : [`want ${want}, got ${got}`];
  }
  const [want, got] = [parseParts(theirs.pem), parseParts(ours.pem)];
  const names = Object.keys(want.parts).filter((name) => want.parts[name] !== got.parts[name]);
  const differences = names.map((name) => `${name}: want ${want.parts[name]}, got ${got.parts[name]}`);
  differences.push(...validityDifferences(want, theirs.after, got, ours.after));
  if (toShape(theirs.pem) !== toShape(ours.pem)) differences.push("the PEM differs in its lines");
  if (differences.length > 0) {
    differences.push(await openssl(["x509", "-noout", "-text"], theirs.pem));
    differences.push(await openssl(["x509", "-noout", "-text"], ours.pem));
  }
  return differences;
}

function toText(outcome: Outcome): unknown {
  return outcome.kind === "issued" ? { kind: outcome.kind } : outcome;
}

interface Parts {
  readonly parts: Readonly<Record<string, string>>;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** Returns the bytes of each field of a certificate, except its serial number, validity and signature. */
function parseParts(pem: string): Parts {
  const der = Uint8Array.from(Buffer.from(pem.replace(/-----[^\n]*\n/g, ""), "base64"));
  const facts = parseCertificate(der);
  if (!facts.ok) throw new Error(facts.error);
  const certificate = new DerReader(der).enter(TAG.sequence, "certificate");
  const signed = certificate.enter(TAG.sequence, "tbsCertificate");
  const hex = (reader: DerReader) => Buffer.from(reader.readAny().raw).toString("hex");
  const version = hex(signed);
  signed.readAny();
  const algorithm = hex(signed);
  const issuer = hex(signed);
  signed.readAny();
  return {
    parts: {
      version,
      algorithm,
      issuer,
      subject: hex(signed),
      key: hex(signed),
      extensions: signed.isAtEnd() ? "" : hex(signed),
      rest: String(signed.isAtEnd()),
      outerAlgorithm: hex(certificate),
    },
    notBefore: facts.value.notBefore,
    notAfter: facts.value.notAfter,
  };
}

/** Compares the start relative to the approval, and the lifetime unless both end at the same time, as with the CA. */
function validityDifferences(want: Parts, wantAfter: Date, got: Parts, gotAfter: Date): readonly string[] {
  const start = (parts: Parts, after: Date) => parts.notBefore.getTime() - after.getTime();
  const life = ({ notBefore, notAfter }: Parts) => notAfter.getTime() - notBefore.getTime();
  const differences: string[] = [];
  if (Math.abs(start(want, wantAfter) - start(got, gotAfter)) > TOLERANCE_MS) {
    differences.push(`notBefore: want ${want.notBefore.toISOString()}, got ${got.notBefore.toISOString()}`);
  }
  if (life(want) !== life(got) && want.notAfter.getTime() !== got.notAfter.getTime()) {
    differences.push(`life: want ${life(want) / 1_000} s, got ${life(got) / 1_000} s`);
  }
  return differences;
}

/** Returns the labels and line lengths of a PEM text, without the length of the last line. */
function toShape(pem: string): string {
  return pem.split("\n").map((line) => line.startsWith("-") ? line : line.length === 64 ? "64" : "rest").join("\n")
    .replace(/(64\n)+/g, "64\n").replace(/(rest\n)(?=-)/, "");
}

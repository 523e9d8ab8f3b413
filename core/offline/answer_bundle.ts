/** The answers of a CA to a bundle of requests: a certificate, or why there is none, for each of them. */
import { formatTime } from "../kube/meta.ts";
import type { ArmorPart } from "../lib/armor.ts";
import { decodeBase64, encodeBase64 } from "../lib/base64.ts";
import { isRecord } from "../lib/record.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { Authority } from "../pki/authority.ts";
import { findAuthorityFault } from "../pki/authority_chain.ts";
import { type CertificateFacts, parseCertificate } from "../pki/certificate.ts";
import {
  type BundleItem,
  findSignedHeader,
  isSignedBy,
  type OpenBundle,
  parseHeader,
  sealBundle,
  type SignedHeader,
} from "./bundle.ts";
import { type ExportHeader, parseExportHeader } from "./request_bundle.ts";

/** The outcome of one request at the CA. */
export type AnswerOutcome =
  /** The certificates are DER: the leaf, and what is sent behind it. */
  | { readonly kind: "issued"; readonly certificates: readonly Uint8Array<ArrayBuffer>[] }
  /** The rules of the signer refuse it for good. */
  | { readonly kind: "refused"; readonly message: string }
  /** It was not decided, and may be exported again. */
  | { readonly kind: "skipped"; readonly message: string };

/** The answer to one request. */
export interface RequestAnswer {
  readonly name: string;
  readonly uid: string;
  readonly outcome: AnswerOutcome;
}

/** Answers whose signatures by the CAs that they name, and by the exporter of the requests, are good. */
export interface AnswerBundle {
  /** The export that is answered. */
  readonly export: ExportHeader;
  readonly answeredAt: string;
  /** The CAs that signed the answers, each with its issuers behind it. */
  readonly authorities: readonly (readonly CertificateFacts[])[];
  readonly answers: readonly RequestAnswer[];
}

/** Seals answers with the keys of the CAs that gave them. Rejects as the keys do. */
export async function sealAnswers(
  exported: SignedHeader,
  answers: readonly RequestAnswer[],
  authorities: readonly Pick<Authority, "certificate" | "issuers" | "key">[],
  now: Date,
): Promise<readonly ArmorPart[]> {
  const header = {
    export: exported,
    answeredAt: formatTime(now),
    authorities: authorities.map(({ certificate, issuers }) =>
      [certificate, ...issuers].map(({ der }) => encodeBase64(der))
    ),
  };
  const items = answers.map(({ name, uid, outcome }): BundleItem => {
    const { kind } = outcome;
    const detail = kind === "issued"
      ? { certificates: outcome.certificates.map(encodeBase64) }
      : { message: outcome.message };
    return { name, value: { uid, outcome: kind, ...detail } };
  });
  return await sealBundle("answers", header, items, authorities.map(({ key }) => key));
}

/** Interprets a bundle as answers, and verifies the signatures of every CA and of the exporter. */
export function parseAnswerBundle({ signed, items }: OpenBundle): Result<AnswerBundle, string> {
  const { export: exported, answeredAt, authorities } = parseHeader(signed) ?? {};
  const signedExport = findSignedHeader(exported);
  if (signedExport === undefined || typeof answeredAt !== "string") return err("its header is incomplete");
  const header = parseExportHeader(signedExport);
  if (!header.ok) return err(`the export that it answers was altered: ${header.error}`);
  const chains = parseAuthorities(authorities);
  if (!chains.ok) return chains;
  for (const [certificate] of chains.value) {
    if (certificate === undefined || !isSignedBy("answers", signed, certificate.publicKey)) {
      return err("the signature of its CA does not match");
    }
  }
  const answers: RequestAnswer[] = [];
  for (const { name, value } of items) {
    const outcome = parseOutcome(value);
    if (outcome === undefined) return err(`the answer to "${name}" cannot be read`);
    answers.push({ name, ...outcome });
  }
  return ok({ export: header.value, answeredAt, authorities: chains.value, answers });
}

function parseAuthorities(value: unknown): Result<readonly (readonly CertificateFacts[])[], string> {
  if (!Array.isArray(value) || value.length === 0) return err("it names no CA");
  const chains: (readonly CertificateFacts[])[] = [];
  for (const chain of value as readonly unknown[]) {
    const certificates: CertificateFacts[] = [];
    for (const one of Array.isArray(chain) ? chain as readonly unknown[] : []) {
      const der = typeof one === "string" ? decodeBase64(one) : undefined;
      const parsed = der === undefined ? undefined : parseCertificate(der);
      if (parsed?.ok !== true) return err("a CA in it cannot be read");
      const fault = findAuthorityFault(parsed.value);
      if (fault !== undefined) return err(`a CA in it cannot be used: ${fault}`);
      certificates.push(parsed.value);
    }
    if (certificates.length === 0) return err("it names no CA");
    chains.push(certificates);
  }
  return ok(chains);
}

function parseOutcome(value: unknown): Pick<RequestAnswer, "uid" | "outcome"> | undefined {
  if (!isRecord(value)) return undefined;
  const { uid, outcome: kind, message, certificates } = value;
  if (typeof uid !== "string") return undefined;
  if (kind === "refused" || kind === "skipped") {
    return typeof message === "string" ? { uid, outcome: { kind, message } } : undefined;
  }
  if (kind !== "issued" || !Array.isArray(certificates) || certificates.length === 0) return undefined;
  const ders = certificates.map((one) => typeof one === "string" ? decodeBase64(one) : undefined);
  const whole = ders.filter((der) => der !== undefined);
  return whole.length === ders.length ? { uid, outcome: { kind, certificates: whole } } : undefined;
}

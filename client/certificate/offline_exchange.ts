/**
 * Obtains a certificate without a network: the request is written to a folder, such as a USB stick, and the CA's answer
 * comes back in that folder. The steps are those of `obtain_certificate.ts`: keep key → submit → wait → check → store.
 */
import { join } from "node:path";
import type { CredentialPair } from "../../core/machine/credential_pair.ts";
import { AppError } from "../../core/errors.ts";
import { decideAnswer } from "../../core/offline/accept_answer.ts";
import {
  type AnswerBundle,
  computeRequestId,
  encodeMachineRequest,
  formatSubject,
  type OfflineRequest,
  readAnswers,
  readRequests,
  type RequestAnswer,
  toStickFileName,
} from "../../core/offline/bundle.ts";
import { formatTime } from "../../core/kube/meta.ts";
import { shellWord } from "../../core/lib/printable.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import { createCaKey, type PrivateKey } from "../../core/pki/keys/keys.ts";
import { createCertificationRequest, parseCertificationRequest } from "../../core/pki/x509/pkcs10.ts";
import { type PublicKeyPin, publicKeyPin } from "../../core/pki/keys/key_names.ts";
import { encodeCertificates } from "../../core/pki/x509/ca_bundle.ts";
import type { Clock } from "../../core/ports.ts";
import { type FilePort, readStickFile } from "../files.ts";
import type { CertificateRequest } from "./submit_request.ts";
import { checkIssued } from "./obtain_certificate.ts";

/** The folder, the request, and the steps that differ between the callers. */
interface OfflineExchangeOptions {
  /** The absolute path of the folder. */
  readonly folder: string;
  /** The name of the files in the folder. */
  readonly name: string;
  /** The pins of this site's CAs. If empty, no CA is known yet, and those of the answer are accepted. */
  readonly site: readonly PublicKeyPin[];
  /** Chooses the key, and keeps it where a later run finds it. */
  readonly keepKey: () => Promise<{ readonly key: PrivateKey; readonly path?: string }>;
  readonly createRequest: (key: PrivateKey) => CertificateRequest;
  /** The current certificate and its key, which sign the request as proof of the machine's identity. */
  readonly requester: CredentialPair | undefined;
  /** The certificate that the new one replaces; an old answer with it may still be on the stick. */
  readonly stored: CertificateFacts | undefined;
  /** Stores the certificate with its key, and then forgets the kept key. */
  readonly store: (pair: CredentialPair) => Promise<void>;
  readonly files: FilePort;
  readonly clock: Pick<Clock, "now">;
}

interface Exchange extends OfflineExchangeOptions {
  readonly request: OfflineRequest;
  /** The id of the request (`computeRequestId`). */
  readonly id: string;
}

/** The result of an exchange; every failure is an error instead. */
export type OfflineExchange =
  /** The request is in the folder, and has no answer yet. `isNew` when this run wrote it. */
  | { readonly kind: "pending"; readonly requestPath: string; readonly isNew: boolean }
  | { readonly kind: "issued"; readonly pair: CredentialPair; readonly answer: AnswerBundle };

/** Files on a stick hold no secrets. */
const STICK_MODE = 0o644;

/**
 * Reads the answer to the request and stores its certificate, or writes the request when there is no answer yet. A
 * second run with the same key changes nothing in the folder. AppError: those of the callbacks; `invalid` for an answer
 * that is truncated, altered, or for another machine, key or site; `csr_denied`, `csr_failed`, `clock_skew`;
 * `file_exists` for the unanswered request of another key; `io`.
 */
export async function exchangeOffline(options: OfflineExchangeOptions): Promise<OfflineExchange> {
  await checkFolder(options);
  const { key, path } = await options.keepKey();
  const wanted = options.createRequest(key);
  const { name, clock } = options;
  const request = createOfflineRequest(name, wanted, key);
  const exchange = { ...options, request, id: computeRequestId(request) };
  const answered = await findAnswer(exchange);
  if (answered === undefined) return await submitRequest(exchange);
  const { outcome } = answered.answer;
  if (outcome.kind !== "issued") {
    throw new AppError(
      "csr_denied",
      `cannot get a certificate for "${name}": the CA refused it at ${answered.bundle.answeredAt}: ${outcome.message}`,
      {
        hint: "ask the operators of the CA why; if they allow it, they run again: tlsboot sign",
      },
    );
  }
  const [leaf] = outcome.chain;
  if (leaf !== undefined && leaf.notAfter < clock.now()) throw createExpiredError(name, leaf, path, clock.now());
  const pair = checkIssued(encodeCertificates(outcome.chain), {
    csrName: name,
    request: wanted,
    now: clock.now(),
    skew: undefined,
    hint: "carry the stick to the CA, and check the rules of its signer",
  });
  await options.store(pair);
  return { kind: "issued", pair, answer: answered.bundle };
}

/** Creates the error for an expired answer. The operator must find out whether it came too late or the clock is wrong. */
function createExpiredError(
  name: string,
  { notAfter }: CertificateFacts,
  path: string | undefined,
  now: Date,
): AppError {
  const end = `it expired at ${formatTime(notAfter)}, and this machine's clock says ${formatTime(now)}`;
  const next = path === undefined ? "use another key" : `remove its key: rm ${shellWord(path)}`;
  return new AppError("clock_skew", `cannot use the certificate of "${name}": ${end}`, {
    hint: `set this machine's clock if it is wrong; otherwise ${next}, and run the command again for a new request`,
  });
}

/** Checks that the folder exists, because a stick that is not mounted must not look like an empty one. */
async function checkFolder({ folder, files }: OfflineExchangeOptions): Promise<void> {
  const facts = await files.stat(folder);
  if (facts?.kind === "directory") return;
  const why = facts === undefined ? "no such folder" : "it is not a folder";
  throw new AppError("not_found", `cannot use "${folder}" as the stick: ${why}`, {
    hint: "mount the stick, or create the folder",
  });
}

/** Finds the answer to this request; undefined if there is none, or only the earlier one of the current certificate. */
async function findAnswer(
  { folder, name, site, stored, files, clock, request, id }: Exchange,
): Promise<{ readonly bundle: AnswerBundle; readonly answer: RequestAnswer } | undefined> {
  const path = join(folder, toStickFileName(name, "answer"));
  const text = await readStickFile(path, files);
  if (text === undefined) return undefined;
  const bundle = readAnswers(text);
  if (!bundle.ok) {
    throw new AppError("invalid", `cannot use the answer "${path}": ${bundle.error.join("; ")}`, {
      hint: "carry the stick to the CA again, and run there: tlsboot sign; it writes the same answer",
    });
  }
  const verdict = decideAnswer(bundle.value, {
    subject: formatSubject(request.facts),
    key: publicKeyPin(request.facts),
    requestId: id,
    stored,
    site,
    now: clock.now(),
  });
  if (verdict.kind === "usable") return { bundle: bundle.value, answer: verdict.answer };
  if (verdict.kind === "earlier") return undefined;
  throw new AppError("invalid", `cannot use the answer "${path}": ${verdict.fault}`, { hint: verdict.fix });
}

async function submitRequest(exchange: Exchange): Promise<OfflineExchange> {
  const { folder, name, files, site, requester, request, id } = exchange;
  const requestPath = join(folder, toStickFileName(name, "request"));
  const text = await readStickFile(requestPath, files);
  const found = text === undefined || text.trim() === "" ? undefined : readRequests(text);
  if (found?.ok === false) {
    throw new AppError("file_exists", `cannot write the request "${requestPath}": ${found.error.join("; ")}`, {
      hint: "another machine or an earlier build may have written this file; remove it if it belongs to this machine",
    });
  }
  if (found !== undefined) {
    const { requests: [earlier], origin } = found.value;
    // The request is outdated if the machine has since received a certificate to sign it with, or expects other CAs.
    const isCurrent = origin.kind === "machine" && origin.site.join() === site.join() &&
      (requester === undefined || origin.requester.length > 0);
    if (earlier !== undefined) {
      if (computeRequestId(earlier) === id && isCurrent) return { kind: "pending", requestPath, isNew: false };
      await checkReplaceable(exchange, requestPath, earlier);
    }
  }
  const signer = requester === undefined ? undefined : { chain: requester.chain, key: createCaKey(requester.key) };
  await files.writeAtomic(requestPath, await encodeMachineRequest(request, { site, requester: signer }), STICK_MODE);
  return { kind: "pending", requestPath, isNew: true };
}

function createOfflineRequest(name: string, wanted: CertificateRequest, key: PrivateKey): OfflineRequest {
  const facts = parseCertificationRequest(createCertificationRequest(wanted, key));
  if (!facts.ok) throw new AppError("internal", `cannot read back a request: ${facts.error}`);
  const { signerName, usages, expirationSeconds } = wanted;
  return { name, facts: facts.value, signerName, usages, expirationSeconds };
}

/**
 * Refuses to replace an unanswered request for another key, which may belong to another machine with this name. A
 * request that was answered, or that the current certificate came from, may be replaced.
 */
async function checkReplaceable(
  { folder, name, stored, files, request }: Exchange,
  path: string,
  found: OfflineRequest,
): Promise<void> {
  const key = publicKeyPin(found.facts);
  if (key === publicKeyPin(request.facts) || (stored !== undefined && key === publicKeyPin(stored))) return;
  const answers = readAnswers(await readStickFile(join(folder, toStickFileName(name, "answer")), files) ?? "");
  if (answers.ok && answers.value.answers[0]?.id === computeRequestId(found)) return;
  throw new AppError("file_exists", `cannot write the request "${path}": there is one for another key, ${key}`, {
    hint:
      "another machine may have this name; remove the file if it is for an earlier key of this machine, or give this " +
      "request another name (tlsboot request --name)",
  });
}

/**
 * Obtains a certificate without a network: the request goes into a folder, such as a USB stick, and the answer of the CA comes
 * back in it. The steps are those of `obtain_certificate.ts`: keep key → submit → wait → check → store.
 */
import { join } from "node:path";
import type { CredentialPair } from "../../core/bootstrap/credential_pair.ts";
import { AppError } from "../../core/errors.ts";
import { type OfflineAnswer, parseOfflineAnswer, toAnswerFileName } from "../../core/offline/answer_file.ts";
import { decideAnswer } from "../../core/offline/check_answer.ts";
import {
  computeRequestId,
  encodeOfflineRequest,
  type OfflineRequest,
  parseOfflineRequest,
  proveRequester,
  toRequestFileName,
} from "../../core/offline/request_file.ts";
import { formatTime } from "../../core/kube/meta.ts";
import { shellWord } from "../../core/lib/shell_word.ts";
import type { CertificateFacts } from "../../core/pki/certificate.ts";
import type { PrivateKey } from "../../core/pki/keys.ts";
import { formatName } from "../../core/pki/names.ts";
import { createCertificationRequest, parseCertificationRequest } from "../../core/pki/pkcs10.ts";
import { type PublicKeyPin, publicKeyPin } from "../../core/pki/public_key_pin.ts";
import { encodeCertificates } from "../../core/pki/authority_chain.ts";
import type { Clock } from "../../core/ports.ts";
import { type FilePort, readStickFile } from "../files.ts";
import { checkIssued } from "./obtain_certificate.ts";
import type { CertificateRequest } from "./submit_request.ts";

/** The folder, the request, and the steps that differ between the callers. */
export interface OfflineExchangeOptions {
  /** The absolute path of the folder. */
  readonly folder: string;
  /** The name of the files in the folder. */
  readonly name: string;
  /** The CAs of this site, by their keys; empty when they are not known yet, and then those of the answer are taken. */
  readonly site: readonly PublicKeyPin[];
  /** Chooses the key, and keeps it where a later run finds it. */
  readonly keepKey: () => Promise<{ readonly key: PrivateKey; readonly path?: string }>;
  readonly createRequest: (key: PrivateKey) => CertificateRequest;
  /** The certificate in use, with its key, by which the request proves who asks. */
  readonly requester: CredentialPair | undefined;
  /** The certificate that the new one replaces; an earlier answer on the stick may belong to it. */
  readonly stored: CertificateFacts | undefined;
  /** Stores the certificate with its key, and then forgets the kept key. */
  readonly store: (pair: CredentialPair) => Promise<void>;
  readonly files: FilePort;
  readonly clock: Pick<Clock, "now">;
}

/** An exchange with its request. */
interface Exchange extends OfflineExchangeOptions {
  readonly key: PrivateKey;
  readonly request: CertificateRequest;
}

/** The result of an exchange; every failure is an error instead. */
export type OfflineExchange =
  /** The request is in the folder, and has no answer yet. `isNew` when this run wrote it. */
  | { readonly kind: "pending"; readonly requestPath: string; readonly isNew: boolean }
  | { readonly kind: "issued"; readonly pair: CredentialPair; readonly answer: OfflineAnswer };

/** Files on a stick hold no secrets. */
const STICK_MODE = 0o644;

/**
 * Reads the answer to the request and stores its certificate, or writes the request when there is no answer yet. A repeated
 * run with the same key changes nothing in the folder. AppError: those of the callbacks; `invalid` for an answer that was cut
 * or altered, or is for another machine, key or site; `csr_denied`, `csr_failed`, `clock_skew`; `file_exists` for the
 * unanswered request of another key; `io`.
 */
export async function exchangeOffline(options: OfflineExchangeOptions): Promise<OfflineExchange> {
  await checkFolder(options);
  const { key, path } = await options.keepKey();
  const request = options.createRequest(key);
  const { name, clock } = options;
  const exchange = { ...options, key, request };
  const offline = createOfflineRequest(exchange);
  const answer = await findAnswer(exchange, computeRequestId(offline));
  if (answer === undefined) return await submitRequest(exchange, offline);
  const { verdict } = answer;
  if (verdict.kind === "refused") {
    throw new AppError(
      "csr_denied",
      `cannot get a certificate for "${name}": the CA refused it at ${answer.answeredAt}: ${verdict.reason}`,
      {
        hint: "settle it with the people beside the CA, who then run again: tlsboot sign",
      },
    );
  }
  const [leaf] = verdict.chain;
  if (leaf !== undefined && leaf.notAfter < clock.now()) throw createTooOldError(name, leaf, path, clock.now());
  const pair = checkIssued(encodeCertificates(verdict.chain), {
    csrName: name,
    request,
    now: clock.now(),
    skew: undefined,
    hint: "carry the stick to the CA, and check the rules of its signer",
  });
  await options.store(pair);
  return { kind: "issued", pair, answer };
}

/** The answer was not taken up in time, or the clock is wrong; only a person knows. */
function createTooOldError(
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

/** A stick that is not mounted must not be taken for an empty one. */
async function checkFolder({ folder, files }: OfflineExchangeOptions): Promise<void> {
  const facts = await files.stat(folder);
  if (facts?.kind === "directory") return;
  const why = facts === undefined ? "no such folder" : "it is not a folder";
  throw new AppError("not_found", `cannot use "${folder}" as the stick: ${why}`, {
    hint: "mount the stick, or create the folder",
  });
}

/** Finds the answer to this request. Undefined without one, and for that of the certificate in use. */
async function findAnswer(
  { folder, name, site, stored, files, clock, key, request: { subject } }: Exchange,
  requestId: string,
): Promise<OfflineAnswer | undefined> {
  const path = join(folder, toAnswerFileName(name));
  const text = await readStickFile(path, files);
  if (text === undefined) return undefined;
  const answer = parseOfflineAnswer(text);
  if (!answer.ok) {
    throw new AppError("invalid", `cannot use the answer "${path}": ${answer.error}`, {
      hint: "carry the stick to the CA again, and run there: tlsboot sign; it writes the same answer",
    });
  }
  const verdict = decideAnswer(answer.value, {
    subject: formatName(subject) || "none",
    key: publicKeyPin({ publicKeyDer: key.publicKeyDer() }),
    requestId,
    stored,
    site,
    now: clock.now(),
  });
  if (verdict.kind === "usable") return answer.value;
  if (verdict.kind === "earlier") return undefined;
  throw new AppError("invalid", `cannot use the answer "${path}": ${verdict.fault}`, { hint: verdict.fix });
}

async function submitRequest(exchange: Exchange, request: OfflineRequest): Promise<OfflineExchange> {
  const { folder, name, files } = exchange;
  const requestPath = join(folder, toRequestFileName(name));
  const id = computeRequestId(request);
  const text = await readStickFile(requestPath, files);
  const found = text === undefined ? undefined : parseOfflineRequest(text);
  if (found?.ok === true) {
    // A machine that has got a certificate since can prove who it is.
    const isProved = found.value.requester !== undefined || request.requester === undefined;
    if (computeRequestId(found.value) === id && isProved) return { kind: "pending", requestPath, isNew: false };
    await checkReplaceable(exchange, requestPath, found.value, request);
  }
  await files.writeAtomic(requestPath, encodeOfflineRequest(request), STICK_MODE);
  return { kind: "pending", requestPath, isNew: true };
}

function createOfflineRequest(
  { name, site, requester, key, request: wanted }: Exchange,
): OfflineRequest {
  const facts = parseCertificationRequest(createCertificationRequest(wanted, key));
  if (!facts.ok) throw new AppError("internal", `cannot read back a request: ${facts.error}`);
  const { signerName, usages, expirationSeconds } = wanted;
  const life = expirationSeconds === undefined ? {} : { expirationSeconds };
  const request = { name, facts: facts.value, signerName, usages, ...life, site };
  if (requester === undefined) return request;
  const signature = proveRequester(computeRequestId(request), requester.key);
  return { ...request, requester: { chain: requester.chain, signature } };
}

/**
 * Refuses to replace the unanswered request of another key: it may be that of another machine with this name. One that is
 * answered, or belongs to the certificate in use, is done with.
 */
async function checkReplaceable(
  { folder, name, stored, files }: Exchange,
  path: string,
  found: OfflineRequest,
  own: OfflineRequest,
): Promise<void> {
  const key = publicKeyPin(found.facts);
  if (key === publicKeyPin(own.facts) || (stored !== undefined && key === publicKeyPin(stored))) return;
  const answer = parseOfflineAnswer(await readStickFile(join(folder, toAnswerFileName(name)), files) ?? "");
  if (answer.ok && answer.value.requestId === computeRequestId(found)) return;
  throw new AppError("file_exists", `cannot write the request "${path}": there is one of another key, ${key}`, {
    hint:
      "another machine may have this name; remove the file if it is of an earlier key of this machine, or give this " +
      "request another name (tlsboot request --name)",
  });
}

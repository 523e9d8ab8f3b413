/**
 * Carries out planned revocations and takes revocations back, as the user of a connection. Also parses their targets: a
 * serial number, or a word and a name such as `node/n1`.
 */
import { AppError, isAppError } from "../../core/errors.ts";
import { revocationKind } from "../../core/kube/kinds/mod.ts";
import { getName } from "../../core/kube/meta.ts";
import { formatApiVersion } from "../../core/kube/schema.ts";
import { StatusError } from "../../core/kube/status/status.ts";
import type { Revocation } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { RecordedCertificates, RevocationIndex } from "../../core/revocation/revocation_index.ts";
import { canBeTakenBack, type RevocationTarget, toRevocationName } from "../../core/revocation/revocation.ts";
import {
  explainMissingGroup,
  flattenPages,
  listRecordPages,
  REVOCATION_COLLECTION,
  revocationPath,
} from "./records.ts";
import { tokenPath } from "./tokens.ts";
import { type ApiClient, listAll } from "../objects/api.ts";
import { hasExpired } from "../../core/report/record_rows.ts";
import type { RevocationPlan } from "../../core/report/revocation_text.ts";
import { findNearest } from "../../core/lib/nearest.ts";
import { shellWord } from "../../core/lib/printable.ts";
import { CERTIFICATE_WORDS, parseRecordReference } from "./record_source.ts";

/** Reports whether a server has revocations; kube-apiserver has none. */
export async function servesRevocations(api: ApiClient, signal: AbortSignal): Promise<boolean> {
  try {
    await api.requestJson({ method: "GET", path: `/apis/${formatApiVersion(revocationKind)}` }, signal);
    return true;
  } catch (error) {
    if (!isAppError(error, "not_found")) throw error;
    return false;
  }
}

/** The effects of a revocation beyond the Revocation itself. */
interface CarriedOut {
  /** Whether the Secret of a revoked token is deleted. */
  readonly isTokenDeleted: boolean;
  /** The reason why the Secret was not deleted, as a sentence for the user. */
  readonly failure: string | undefined;
}

/**
 * Creates the Revocation of a plan, and deletes the Secret of a revoked token. A refusal is an AppError with its
 * causes.
 */
export async function carryOutRevocation(
  plan: Extract<RevocationPlan, { readonly kind: "revoke" }>,
  api: ApiClient,
  signal: AbortSignal,
): Promise<CarriedOut> {
  const { text, revocation, replaced, target } = plan;
  try {
    // A Revocation cannot change. Its token is deleted already, so nothing can use it between the two requests.
    if (replaced !== undefined) {
      await api.requestJson({ method: "DELETE", path: revocationPath(getName(replaced)) }, signal);
    }
    await api.requestJson({ method: "POST", path: REVOCATION_COLLECTION, body: revocation }, signal);
  } catch (error) {
    if (!isAppError(error, "invalid", "already_exists")) throw error;
    throw new AppError(error.code, `cannot revoke "${text}": ${describeRefusal(error)}`, { cause: error });
  }
  if (!plan.hasTokenSecret) return { isTokenDeleted: false, failure: undefined };
  try {
    await api.requestJson({ method: "DELETE", path: tokenPath(target.value) }, signal);
  } catch (error) {
    // The server deletes the Secret of a revoked token too, and may have been faster.
    if (!isAppError(error, "not_found", "access_denied")) throw error;
    if (error.code === "access_denied") {
      return {
        isTokenDeleted: false,
        failure: `the token is revoked, but its Secret was not deleted: ${error.message}`,
      };
    }
  }
  return { isTokenDeleted: true, failure: undefined };
}

/** Returns the causes of a refusal without the names of the fields, which the user did not type. */
function describeRefusal(error: AppError): string {
  const causes = error instanceof StatusError ? error.status.details?.causes ?? [] : [];
  const texts = causes.map(({ message = "" }) => message.replace(/^(Forbidden|Required value): /, ""));
  return texts.length === 0 ? error.message : texts.join("; ");
}

/**
 * Deletes a revocation, and returns the number of valid certificates that no other revocation covers. AppError
 * `not_found` when the target is not revoked, and `invalid` when the revocation cannot be taken back.
 */
export async function takeBackRevocation(
  text: string,
  target: RevocationTarget,
  api: ApiClient,
  now: Date,
  signal: AbortSignal,
): Promise<number> {
  const name = toRevocationName(target);
  const { items } = await explainMissingGroup(() => listAll<Revocation>(api, REVOCATION_COLLECTION, {}, signal));
  const revocation = items.find((item) => getName(item) === name);
  if (revocation === undefined) {
    throw new AppError("not_found", `cannot take back the revocation of "${text}": it is not revoked`, {
      hint: "list the revocations with: tlsboot get revocations",
    });
  }
  if (!canBeTakenBack(revocation)) {
    throw new AppError(
      "invalid",
      `cannot take back the revocation of "${text}": only a certificate on hold can be restored`,
      {
        hint: "issue a new certificate, such as with tlsboot kubeconfig user or tlsboot request",
      },
    );
  }
  const released = await countReleased(api, items, name, now, signal);
  await api.requestJson({ method: "DELETE", path: revocationPath(name) }, signal);
  return released;
}

/** Counts the valid certificates that only this revocation covers. */
export async function countReleased(
  api: ApiClient,
  revocations: readonly Revocation[],
  name: string,
  now: Date,
  signal: AbortSignal,
): Promise<number> {
  const known = new RecordedCertificates();
  const [all, others] = [new RevocationIndex(known.findByFingerprint), new RevocationIndex(known.findByFingerprint)];
  for (const item of revocations) {
    all.put(item);
    if (getName(item) !== name) others.put(item);
  }
  let count = 0;
  for await (const record of flattenPages(listRecordPages(api, {}, signal))) {
    known.put(record);
    const isReleased = all.findForRecord(record) !== undefined && others.findForRecord(record) === undefined;
    if (isReleased && !hasExpired(record, now)) count += 1;
  }
  return count;
}

/** The target of `revoke` or `unrevoke` before it is looked up. */
export type TypedTarget =
  /** A certificate by its serial number, the beginning of that number, or its record. */
  | { readonly kind: "certificate"; readonly text: string }
  | { readonly kind: "csr"; readonly text: string; readonly name: string }
  | { readonly kind: "named"; readonly text: string; readonly target: RevocationTarget };

const WORDS: Readonly<Record<string, "csr" | "node" | "user" | "group" | "token">> = {
  csr: "csr",
  "certificatesigningrequest.certificates.k8s.io": "csr",
  node: "node",
  user: "user",
  group: "group",
  token: "token",
};
/** The name of a Revocation, as `tlsboot get revocations` prints it. */
const REVOCATION_NAME = /^(?:revocation\.tlsboot\/)?(serial|node|user|group|token):(.+)$/s;

/** Parses a target. Throws AppError `usage` with the nearest word. */
export function parseTypedTarget(typed: string): TypedTarget {
  const text = typed.replace(REVOCATION_NAME, (_, kind: string, value: string) => `${kind}/${value}`);
  const slash = text.indexOf("/");
  if (slash < 0 || CERTIFICATE_WORDS.test(text)) return parseCertificate(text);
  const word = text.slice(0, slash);
  const name = text.slice(slash + 1);
  const kind = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
  if (kind === undefined) {
    const nearest = findNearest(word, Object.keys(WORDS));
    throw new AppError(
      "usage",
      `cannot use "${hideSecret(text)}": want a serial number, node/NAME, user/NAME, group/NAME, token/ID or csr/NAME`,
      { hint: nearest === undefined ? undefined : `did you mean ${shellWord(`${nearest}/${hideSecret(name)}`)}?` },
    );
  }
  if (name === "") throw new AppError("usage", `cannot use "${text}": the name is missing`);
  if (kind === "csr") return { kind, text, name };
  if (kind !== "token") return { kind: "named", text, target: { kind, value: name } };
  const value = toTokenId(name);
  return { kind: "named", text: `${kind}/${value}`, target: { kind, value } };
}

/** Text that looks like a bootstrap token: an id, and a secret that may be mistyped. */
const TOKEN_LIKE = /(?<![a-z0-9])([a-z0-9]{6})\.[a-z0-9]{10,}/g;

/** Removes anything that may be the secret of a token, because messages end up in logs. */
function hideSecret(text: string): string {
  return text.replace(TOKEN_LIKE, "$1");
}

function parseCertificate(text: string): TypedTarget {
  if (/^[0-9a-f:]+$/i.test(text) || /[/=]/.test(text)) {
    parseRecordReference(text);
    return { kind: "certificate", text };
  }
  const shown = hideSecret(text);
  const token = /^[a-z0-9]{6}$/.test(shown) ? `for a token write token/${shown}, ` : "";
  const [node, user] = shown === text ? [`node/${text}`, `user/${text}`] : ["node/NAME", "user/NAME"];
  throw new AppError("usage", `cannot use "${shown}": it is not a serial number`, {
    hint: `${token}for a machine or a person write ${shellWord(node)} or ${shellWord(user)}`,
  });
}

/** Returns the id of a token; the secret of a full token must not end up in an object. */
function toTokenId(text: string): string {
  const id = /^([a-z0-9]{6})(\.[a-z0-9]{16})?$/.exec(text)?.[1];
  if (id !== undefined) return id;
  throw new AppError("usage", "cannot read the token: want its id, six characters of a-z and 0-9", {
    hint: "list the ids with: tlsboot token list",
  });
}

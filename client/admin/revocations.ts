/** Carries out planned revocations, and takes revocations back, as the user of a connection. */
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
export interface CarriedOut {
  /** Whether the Secret of a revoked token is deleted. */
  readonly isTokenDeleted: boolean;
  /** Why the Secret is not deleted, as a sentence for the user; undefined otherwise. */
  readonly failure: string | undefined;
}

/** Creates the Revocation of a plan, and deletes the Secret of a revoked token. AppError with the causes of a refusal. */
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
 * Deletes a revocation, and returns the number of certificates that no other one covers and that have not expired. AppError
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

/** Counts the valid certificates that a revocation covers and no other one does. */
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

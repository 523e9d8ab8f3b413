/**
 * The limits of bootstrap tokens at the approver (`core/bootstrap/bound_token.ts`). An API server of tlsboot has enforced
 * them when the request was created; a kube-apiserver does not know them, so the approver denies what they forbid and
 * binds the token to the key of the first request. A token that was created with `--approve` is the approval.
 */
import {
  decideTokenRequest,
  isLimitedToken,
  readTokenLimits,
  readTokenUse,
  withBoundKey,
} from "../core/bootstrap/bound_token.ts";
import { findTokenId, toTokenSecretName } from "../core/bootstrap/token_secret.ts";
import type { DecisionText } from "../core/approval/conditions.ts";
import { parseRequest } from "../core/csr/request.ts";
import type { CertificateSigningRequest } from "../core/kube/certificates_v1.ts";
import type { SecretObject } from "../core/kube/core_v1.ts";
import { escapeControls } from "../core/lib/printable.ts";
import { listExtraAttributes } from "../core/pki/names.ts";
import { publicKeyPin } from "../core/pki/public_key_pin.ts";
import type { Logger, ObjectStore } from "../core/ports.ts";
import { isKubeletClientRequest } from "../core/signing/profile.ts";

/** The decision about a request by its token; undefined when the token leaves the decision to the other rules. */
export type TokenVerdict =
  | { readonly kind: "approve" | "deny"; readonly text: DecisionText }
  | { readonly kind: "pending"; readonly message: string };

/** Decides about requests by the tokens with which they were made. */
export interface TokenApproval {
  /** Throws AppError `conflict` when another request of the same token was decided at the same moment. */
  decide(csr: CertificateSigningRequest, signal: AbortSignal): Promise<TokenVerdict | undefined>;
}

/** The dependencies of the decision by tokens. */
export interface TokenApprovalDeps {
  /** The Secrets of kube-system, among them those of tokens. */
  readonly secrets: Pick<ObjectStore<SecretObject>, "get" | "update">;
  readonly logger: Logger;
  /**
   * The API server has checked each request against its token already, so a request whose token is gone by now is like
   * any other. Otherwise its limits are unknown, and it stays pending.
   */
  readonly isCheckedAtCreation: boolean;
  /** Writes nothing into the Secrets. */
  readonly isDryRun: boolean;
}

/** The reasons of the conditions. */
const APPROVED = "TokenApproved";
const REFUSED = "TokenRefused";

/** Creates the decision by tokens over the Secrets of an API. */
export function createTokenApproval(
  { secrets, logger, isCheckedAtCreation, isDryRun }: TokenApprovalDeps,
): TokenApproval {
  return {
    async decide(csr, signal) {
      const tokenId = findTokenId(csr.spec.username ?? "");
      const request = parseRequest(csr.spec.request);
      if (tokenId === undefined || !request.ok) return undefined;
      const secret = await secrets.get(toTokenSecretName(tokenId), signal);
      if (secret === undefined) {
        if (isCheckedAtCreation) return undefined;
        return { kind: "pending", message: `bootstrap token "${tokenId}" is gone, so its limits are unknown` };
      }
      if (!isLimitedToken(secret)) return undefined;
      const { subject } = request.value;
      const key = publicKeyPin(request.value);
      const decision = decideTokenRequest(secret, { signerName: csr.spec.signerName, subject, key });
      if (decision.kind === "refused") {
        logger.warn("bootstrap token refused by its limits", { tokenId, reason: decision.refusal.message });
        return { kind: "deny", text: { reason: REFUSED, message: `Token "${tokenId}": ${decision.refusal.message}.` } };
      }
      if (decision.kind === "bind" && !isDryRun) {
        const metadata = { ...secret.metadata, annotations: withBoundKey(secret, key) };
        await secrets.update({ ...secret, metadata }, signal);
      }
      const limits = readTokenLimits(secret);
      // A subject with other attributes is left to the guard, which holds it for a person.
      const isClient = isKubeletClientRequest(request.value, csr.spec.usages ?? []) &&
        listExtraAttributes(subject).length === 0;
      if (!limits.ok || !limits.value.isApproval || !isClient) return undefined;
      return { kind: "approve", text: { reason: APPROVED, message: describeApproval(tokenId, secret) } };
    },
  };
}

function describeApproval(tokenId: string, secret: SecretObject): string {
  const { createdBy } = readTokenUse(secret);
  const limits = readTokenLimits(secret);
  const node = limits.ok ? limits.value.node ?? "" : "";
  const by = createdBy === undefined ? "an unknown user" : `user "${escapeControls(createdBy)}"`;
  return `Approved by bootstrap token "${tokenId}", which ${by} created for node "${node}" with --approve.`;
}

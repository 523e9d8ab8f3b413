/** The checks of a running server: requests that no one answers, rules that never apply, and tokens without an end. */
import { isSettled } from "../approval/recognizers.ts";
import type { Policy } from "../approval/policy.ts";
import type { TokenFacts } from "../bootstrap/token_secret.ts";
import { describeMissingSigner, SIGNER_OVERDUE_MS } from "../csr/missing_signer.ts";
import { findCondition, getCsrPhase } from "../csr/phase.ts";
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import { shellWord } from "../lib/shell_word.ts";
import type { Fault } from "./finding.ts";
import { checkPolicyRules } from "./policies.ts";

/** What the API of a server says about it. */
export interface ServerEvidence {
  readonly requests: readonly CertificateSigningRequest[];
  /** The signers that run in the server; undefined when they are not known. */
  readonly signers: readonly string[] | undefined;
  readonly policies: readonly Policy[];
  readonly tokens: readonly TokenFacts[];
  /** The words that reach the server: `--data-dir DIR`. */
  readonly flags: string;
  readonly now: Date;
}

/** Kubernetes deletes a pending request after a day (`pkg/controller/certificates/cleaner/cleaner.go`). */
const PENDING_MAX_MS = 24 * 3_600_000;

/** Reports requests that no one has decided about for more than a day. The fix deletes them. */
export function checkPendingRequests({ requests, flags, now }: ServerEvidence): readonly Fault[] {
  const old = requests.filter((csr) =>
    getCsrPhase(csr).kind === "pending" &&
    now.getTime() - Date.parse(csr.metadata.creationTimestamp ?? "") > PENDING_MAX_MS
  );
  return old.map((csr): Fault => {
    const name = csr.metadata.name ?? "";
    return {
      severity: "warning",
      message: `request "${name}" has waited for an approver for more than a day, and no controller has deleted it`,
      fix: `tlsboot delete csr ${shellWord(name)} ${flags}`,
    };
  });
}

/**
 * Reports requests for signers that do not run: those that the server does not publish, and those that leave an approved
 * request without a certificate. The fix deletes a request; its owner may make another one.
 */
export function checkRequestedSigners({ requests, signers, flags, now }: ServerEvidence): readonly Fault[] {
  return requests.flatMap((csr): readonly Fault[] => {
    const { signerName } = csr.spec;
    const approvedAt = Date.parse(findCondition(csr, "Approved")?.lastUpdateTime ?? "");
    const isOverdue = getCsrPhase(csr).kind === "approved" && now.getTime() - approvedAt > SIGNER_OVERDUE_MS;
    const isUnserved = signers !== undefined && !signers.includes(signerName) && !isSettled(csr);
    if (!isOverdue && !isUnserved) return [];
    const name = csr.metadata.name ?? "";
    return [{
      severity: "warning",
      message: `request "${name}" is ${
        isUnserved ? "for a signer that does not run in the server" : "approved, and no signer has issued it"
      }: ${describeMissingSigner(signerName)}`,
      fix: `tlsboot delete csr ${shellWord(name)} ${flags}`,
    }];
  });
}

/** Reports rules of the approver's policies that never apply. */
export function checkServerPolicies({ policies }: ServerEvidence): readonly Fault[] {
  return policies.flatMap((policy) => checkPolicyRules(policy, { file: policy.name, text: "" }));
}

/** Reports bootstrap tokens that never end. */
export function checkTokens({ tokens, flags }: ServerEvidence): readonly Fault[] {
  return tokens.flatMap(({ id, expiration }): readonly Fault[] => {
    if (expiration.kind !== "never") return [];
    return [{
      severity: "warning",
      message: `the bootstrap token ${id} never ends: whoever has it can request certificates`,
      fix: `tlsboot token delete ${shellWord(id)} ${flags}`,
    }];
  });
}

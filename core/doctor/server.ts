/** The checks of a running server: requests that no signer answers, rules that never apply, and tokens without an end. */
import { isSettled } from "../approval/plan_approval.ts";
import type { Policy } from "../approval/policy.ts";
import type { TokenFacts } from "../bootstrap/token_secret.ts";
import { describeMissingSigner } from "../csr/missing_signer.ts";
import type { CertificateSigningRequest } from "../kube/certificates_v1.ts";
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
}

/** Reports requests for signers that do not run. The fix deletes a request; its owner may make another one. */
export function checkRequestedSigners({ requests, signers, flags }: ServerEvidence): readonly Fault[] {
  if (signers === undefined) return [];
  return requests.flatMap((csr): readonly Fault[] => {
    const { signerName } = csr.spec;
    if (signers.includes(signerName) || isSettled(csr)) return [];
    const name = csr.metadata.name ?? "";
    return [{
      severity: "warning",
      message: `request "${name}" is for a signer that does not run in the server: ${
        describeMissingSigner(signerName)
      }`,
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

/** The description of a request in a bundle, for the person beside the CA. */
import { findCondition } from "../../../core/csr/phase.ts";
import { formatDuration } from "../../../core/lib/duration.ts";
import type { ExportedRequest } from "../../../core/offline/request_bundle.ts";
import { formatName } from "../../../core/pki/names.ts";
import { publicKeyPin } from "../../../core/pki/public_key_pin.ts";
import { formatKey } from "../../../core/pki/key_algorithm.ts";
import { line, oneLine } from "../../output/escape.ts";
import { alignTabs, DESCRIBE_TABS } from "../../output/tab_writer.ts";
import type { PlannedRequest } from "../../sign_request.ts";
import type { OpenedSigner } from "./open_signer.ts";

/** The decision about a request of a bundle, before anything is signed. */
export type BundleDecision =
  | { readonly kind: "sign"; readonly planned: PlannedRequest; readonly signer: OpenedSigner }
  | { readonly kind: "refused" | "skipped"; readonly message: string };

/** Describes a request in words: who asks for what, who approved it, and what the rules of the signer say. */
export function describeExportedRequest(
  { name, csr, facts }: ExportedRequest,
  decision: BundleDecision,
  warning: string | undefined,
): string {
  const { signerName, usages = [], expirationSeconds, username = "", groups = [] } = csr.spec;
  const { reason = "", message = "" } = findCondition(csr, "Approved") ?? {};
  const names = [...facts.dnsNames, ...facts.ipAddresses, ...facts.emailAddresses, ...facts.uris];
  const lifetime = expirationSeconds === undefined ? "chosen by the signer" : formatDuration(expirationSeconds * 1_000);
  const lines = [
    line`  Signer:\t${signerName}`,
    line`  Subject:\t${formatName(facts.subject) || "none"}`,
    line`  Names:\t${names.join(", ") || "none"}`,
    line`  Usages:\t${usages.join(", ") || "those of the signer"}`,
    line`  Lifetime:\t${lifetime}`,
    line`  Key:\t${formatKey(facts)}, ${publicKeyPin(facts)}`,
    line`  Requester:\t${username || "unknown"}${groups.length === 0 ? "" : ` of ${groups.join(", ")}`}`,
    line`  Approved:\t${[reason, message].filter((text) => text !== "").join(": ") || "without a reason"}`,
    ...(warning === undefined ? [] : [line`  Warning:\t${warning}`]),
    line`  Verdict:\t${describeDecision(decision)}`,
  ];
  return line`${name}\n` + `${alignTabs(lines.map(oneLine).join("\n"), DESCRIBE_TABS)}\n`;
}

function describeDecision(decision: BundleDecision): string {
  switch (decision.kind) {
    case "sign":
      return "the signer's rules allow it";
    case "refused":
      return `refused: ${decision.message}`;
    case "skipped":
      return `not signed: ${decision.message}`;
  }
}

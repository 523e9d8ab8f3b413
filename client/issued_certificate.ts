/** Looks at what the signer returned before it is kept: our key, what we asked for, alive by our clock. */
import { type CredentialPair, parseCredentialPair } from "../core/bootstrap/credential_pair.ts";
import { findIssuedFault } from "../core/csr/issued_fault.ts";
import { AppError } from "../core/errors.ts";
import { formatTime } from "../core/kube/meta.ts";
import { shellWord } from "../core/lib/shell_word.ts";
import type { CertificateRequest } from "./csr_request.ts";
import { type ClockSkew, isSkewed } from "./server_time.ts";

/** What was asked, and what is known of the clocks. */
export interface IssuedCheck {
  readonly csrName: string;
  readonly request: CertificateRequest;
  readonly now: Date;
  readonly skew: ClockSkew | undefined;
}

/** The pair, checked. AppError `csr_failed` for a wrong certificate, `clock_skew` for one not valid by our clock. */
export function checkIssued(certificatePem: string, check: IssuedCheck): CredentialPair {
  const pair = parseCredentialPair(certificatePem, check.request.key.toPem());
  if (!pair.ok) throw wrong(check, pair.error);
  const { leaf, chain } = pair.value;
  const fault = findIssuedFault(leaf, check.request);
  if (fault !== undefined) throw wrong(check, fault);
  for (const { notBefore, notAfter } of chain) {
    if (check.now >= notBefore && check.now <= notAfter) continue;
    throw outsideLifetime(check, notBefore, notAfter);
  }
  return pair.value;
}

function wrong(check: IssuedCheck, why: string): AppError {
  return new AppError("csr_failed", `cannot use the certificate of "${check.csrName}": ${why}`, {
    hint: `look at the signer; to ask again, delete the request first: tlsboot delete csr ${shellWord(check.csrName)}`,
  });
}

function outsideLifetime(check: IssuedCheck, notBefore: Date, notAfter: Date): AppError {
  const server = check.skew === undefined ? "" : `, the server's ${formatTime(check.skew.serverTime)}`;
  const lifetime = `it is valid from ${formatTime(notBefore)} to ${formatTime(notAfter)}`;
  const clocks = `this machine's clock says ${formatTime(check.now)}${server}`;
  return new AppError("clock_skew", `cannot use the certificate of "${check.csrName}": ${lifetime}, but ${clocks}`, {
    hint: "set this machine's clock, then run the command again",
  });
}

/** The error for a failure that a wrong clock explains better than its own text does; the same error otherwise. */
export function blameClock(error: unknown, skew: ClockSkew | undefined): unknown {
  if (!(error instanceof AppError) || error.code !== "csr_incompatible" || !error.message.includes("has expired")) {
    return error;
  }
  if (!isSkewed(skew)) return error;
  const clocks = `this machine's clock says ${formatTime(skew.ourTime)}, the server's ${formatTime(skew.serverTime)}`;
  return new AppError("clock_skew", `${error.message} (${clocks})`, {
    cause: error,
    hint: "set this machine's clock, then run the command again",
  });
}

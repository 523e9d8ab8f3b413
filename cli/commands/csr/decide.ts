/**
 * Approves and denies requests as kubectl does (`pkg/cmd/certificates/certificates.go`), and reports those without a
 * certificate.
 */
import type { ApiClient } from "../../../client/objects/api.ts";
import { getCsrPhase } from "../../../core/request/phase.ts";
import { describeMissingSigner } from "../../../core/request/signer_name.ts";
import { AppError } from "../../../core/errors.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import type { denyCommand } from "./flags.ts";
import { createTargetFinder, parseTargets } from "./targets.ts";
import { connect } from "../../connection.ts";
import { createDecision, type CsrDecision, decideOne } from "../../../client/admin/decisions.ts";
import type { ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Io, Tools } from "../../io.ts";
import { line } from "../../../core/lib/printable.ts";
import { CSR_QUALIFIED_KIND, csrPath, getCsrByName } from "../../../client/admin/csrs.ts";
import { forEachItem } from "../../framework/report.ts";

export async function runDeny({ args, settings }: Input<typeof denyCommand.flags>, tools: Tools): Promise<ExitCode> {
  parseTargets(args);
  await using connection = await connect(settings, tools);
  const { api } = connection;
  const denial = await createDecision("deny", api, "tlsboot deny", tools.signal, settings);
  return (await decideEach(args, api, { ...denial, past: "denied" }, tools)).code;
}

/** Decides each request that passes the check, if there is one. Returns the names of the requests that are decided. */
export async function decideEach(
  args: readonly string[],
  api: ApiClient,
  decision: CsrDecision & {
    readonly past: "approved" | "denied";
    readonly check?: (csr: CertificateSigningRequest) => Promise<boolean>;
  },
  tools: Tools,
): Promise<{ readonly code: ExitCode; readonly decided: readonly string[] }> {
  const { signal } = tools;
  const decided: string[] = [];
  const findTarget = createTargetFinder(api);
  const code = await forEachItem(args, async (arg) => {
    const name = await findTarget(arg, signal);
    const csr = decision.check === undefined ? undefined : await getCsrByName(api, name, signal);
    if (csr !== undefined && await decision.check?.(csr) === false) return;
    // The user has accepted the warnings about this object, not about a later one of the same name.
    const isNew = await decideOne(api, name, decision, tools, signal, { uid: csr?.metadata.uid });
    decided.push(name);
    tools.stdout.write(line`${CSR_QUALIFIED_KIND}/${name} ${isNew ? "" : "already "}${decision.past}\n`);
  }, tools);
  return { code, decided };
}

/** How long approved requests are polled for their certificates; a running signer takes a fraction of this. */
const SIGNER_WAIT_MS = 1_000;
const SIGNER_PAUSE_MS = 100;

/** Reports the approved requests that no signer has handled yet, or that a signer has refused. */
export async function reportUnsigned(
  api: ApiClient,
  names: readonly string[],
  io: Pick<Io, "stderr" | "clock">,
  signal: AbortSignal,
): Promise<void> {
  const endsAt = io.clock.elapsedMs() + SIGNER_WAIT_MS;
  const unsigned = new Map<string, string[]>();
  for (const name of names) {
    let csr = await findCsr(api, name, signal);
    while (csr !== undefined && getCsrPhase(csr).kind === "approved" && io.clock.elapsedMs() < endsAt) {
      await io.clock.sleep(SIGNER_PAUSE_MS, signal);
      csr = await findCsr(api, name, signal);
    }
    if (csr === undefined) continue;
    const phase = getCsrPhase(csr);
    if (phase.kind === "failed") {
      io.stderr.write(line`the signer refused ${name}: ${phase.message || phase.reason}\n`);
    } else if (phase.kind === "approved") {
      const { signerName } = csr.spec;
      unsigned.set(signerName, [...unsigned.get(signerName) ?? [], name]);
    }
  }
  for (const [signerName, late] of unsigned) {
    const advice = describeMissingSigner(signerName);
    io.stderr.write(line`approved, but not signed yet: ${late.join(", ")}. If this does not change, ${advice}\n`);
  }
}

async function findCsr(
  api: ApiClient,
  name: string,
  signal: AbortSignal,
): Promise<CertificateSigningRequest | undefined> {
  try {
    return await api.requestObject<CertificateSigningRequest>({ method: "GET", path: csrPath(name) }, signal);
  } catch (error) {
    signal.throwIfAborted();
    // The decision is written, so an error after it is not a failure of the command.
    if (!(error instanceof AppError)) throw error;
    return undefined;
  }
}

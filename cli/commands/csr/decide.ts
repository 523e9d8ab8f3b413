/** Approves and denies requests as kubectl does (`pkg/cmd/certificates/certificates.go`), and records who decided. */
import type { ApiClient } from "../../../client/objects/api.ts";
import type { DecisionText } from "../../../core/approval/conditions.ts";
import { isSettled } from "../../../core/approval/recognizers.ts";
import { getCsrPhase } from "../../../core/csr/phase.ts";
import { describeMissingSigner } from "../../../core/csr/missing_signer.ts";
import { AppError } from "../../../core/errors.ts";
import type { CertificateSigningRequest } from "../../../core/kube/certificates_v1.ts";
import { getName } from "../../../core/kube/meta.ts";
import { shellWord } from "../../../core/lib/shell_word.ts";
import { capitalize } from "../../../core/review/words.ts";
import { approveExpected, readExpected } from "./expect.ts";
import { listTypedFlags } from "../../framework/settings.ts";
import type { ApproveFlags, DECIDE_FLAGS } from "./flags.ts";
import { createTargetFinder, parseTargets } from "./targets.ts";
import { connect } from "../../api/connection.ts";
import { createApproval, createDenial, type CsrDecision, decideOne } from "../../api/decisions.ts";
import { readApproverSettings } from "../../api/published_settings.ts";
import { createRequestViews, type RequestViews } from "../../api/request_views.ts";
import { canAsk, confirm } from "../../confirm.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Action, Input } from "../../framework/command.ts";
import type { Io } from "../../io.ts";
import { line } from "../../output/escape.ts";
import { CSR_QUALIFIED_KIND, csrPath, getCsrByName } from "../../api/csrs.ts";
import { UsageError } from "../../framework/usage_error.ts";
import { forEachName } from "../../framework/for_each_name.ts";

type DecideFlags = typeof DECIDE_FLAGS;

/** The action of the command `tlsboot approve`. */
export const approveAction: Action<ApproveFlags> = {
  async run(input: Input<ApproveFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
    const { settings } = input;
    checkTargets(input);
    if (settings.interactive) return await (await import("./review.ts")).review(input, io, signal);
    const isExpecting = settings.expect.length > 0;
    const expected = isExpecting ? await readExpected(settings.expect, io.cwd) : [];
    await using connection = await connect(settings, io);
    const { api } = connection;
    const approval = await createApproval(api, "tlsboot approve", signal, getDecisionText(settings));
    if (isExpecting) {
      const approve = (csr: CertificateSigningRequest, inner: AbortSignal) =>
        decideOne(api, getName(csr), approval, io, inner, { uid: csr.metadata.uid });
      const options = { connection, expected, forMs: settings.for, io, approve };
      const { code, approved } = await approveExpected(options, signal);
      await reportUnsigned(api, approved, io, signal);
      return code;
    }
    const context = { io, isDebug: input.isDebug, signal };
    const chosen = await readApproverSettings(api, signal);
    const views = createRequestViews(connection, { chosen, signers: chosen.signers }, io);
    let isRefused = false;
    const check = async (csr: CertificateSigningRequest): Promise<boolean> => {
      const isAccepted = await acceptsWarnings(csr, views, settings.yes, io, signal);
      isRefused ||= !isAccepted;
      return isAccepted;
    };
    const { code, decided } = await decideEach(input.args, api, { ...approval, past: "approved", check }, context);
    await reportUnsigned(api, decided, io, signal);
    return code === EXIT.done && isRefused ? EXIT.no : code;
  },
};

/**
 * Shows the warnings about a pending request, the same as `describe csr` shows. A request with warnings is approved with
 * `--yes`, or when the user confirms it on a terminal.
 */
async function acceptsWarnings(
  csr: CertificateSigningRequest,
  views: RequestViews,
  isConfirmed: boolean,
  io: Io,
  signal: AbortSignal,
): Promise<boolean> {
  if (isSettled(csr)) return true;
  const { name, sentence, warnings } = await views.view(csr, signal);
  if (warnings.length === 0) return true;
  io.stderr.write(line`${name}: ${capitalize(sentence)}.\n`);
  for (const warning of warnings) io.stderr.write(line`Warning: ${warning}.\n`);
  if (isConfirmed) return true;
  if (canAsk(io)) {
    if (await confirm("Approve it all the same?", io, signal)) return true;
    io.stderr.write(line`${name} is not approved\n`);
    return false;
  }
  const word = shellWord(name);
  io.stderr.write(
    line`${name} is not approved because of the ${warnings.length === 1 ? "warning" : "warnings"}: look at it with ` +
      line`tlsboot describe csr ${word}; to approve it all the same: tlsboot approve csr/${word} --yes\n`,
  );
  return false;
}

function checkTargets({ args, settings, origins }: Input<ApproveFlags>): void {
  if (settings.interactive) {
    const [other] = listTypedFlags(origins, ["expect", "for", "yes", "reason", "message"]);
    if (other !== undefined) throw new UsageError(`${other} has no effect with -i`);
    return;
  }
  const [needless] = listTypedFlags(origins, ["policy", "inventory", "profile", "watch", "fieldSelector", "selector"]);
  if (needless !== undefined) throw new UsageError(`${needless} has no effect without -i`);
  if (settings.expect.length > 0) {
    if (args.length > 0) throw new UsageError("a name cannot be given together with --expect");
    if (settings.yes) throw new UsageError("--yes has no effect with --expect");
    return;
  }
  if (origins["for"] !== "default") throw new UsageError("--for has no effect without --expect");
  if (args.length === 0) throw new UsageError("name a request or a machine, or look at each with -i");
  parseTargets(args);
}

/** The action of the command `tlsboot deny`. */
export const denyAction: Action<DecideFlags> = {
  async run(input: Input<DecideFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
    parseTargets(input.args);
    await using connection = await connect(input.settings, io);
    const { api } = connection;
    const denial = await createDenial(api, "tlsboot deny", signal, getDecisionText(input.settings));
    const context = { io, isDebug: input.isDebug, signal };
    return (await decideEach(input.args, api, { ...denial, past: "denied" }, context)).code;
  },
};

function getDecisionText({ reason, message }: Input<DecideFlags>["settings"]): Partial<DecisionText> {
  return { ...(reason === undefined ? {} : { reason }), ...(message === undefined ? {} : { message }) };
}

/**
 * Decides each request that passes the check, if there is one; `decided` are the names of those that now have the decision.
 */
async function decideEach(
  args: readonly string[],
  api: ApiClient,
  decision: CsrDecision & {
    readonly past: "approved" | "denied";
    readonly check?: (csr: CertificateSigningRequest) => Promise<boolean>;
  },
  context: Parameters<typeof forEachName>[2],
): Promise<{ readonly code: ExitCode; readonly decided: readonly string[] }> {
  const { io, signal } = context;
  const decided: string[] = [];
  const findTarget = createTargetFinder(api, io.clock);
  const code = await forEachName(args, async (arg) => {
    const name = await findTarget(arg, signal);
    const csr = decision.check === undefined ? undefined : await getCsrByName(api, name, signal);
    if (csr !== undefined && await decision.check?.(csr) === false) return;
    // The user has accepted the warnings about this object, and not about another one of its name.
    const isNew = await decideOne(api, name, decision, io, signal, { uid: csr?.metadata.uid });
    decided.push(name);
    io.stdout.write(line`${CSR_QUALIFIED_KIND}/${name} ${isNew ? "" : "already "}${decision.past}\n`);
  }, context);
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
    io.stderr.write(line`approved, but not signed yet: ${late.join(", ")}. If it stays so, ${advice}\n`);
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

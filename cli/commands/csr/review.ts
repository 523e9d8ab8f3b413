/**
 * Shows pending requests one by one, and asks what to do with each. Answers are whole lines, so that this works over ssh
 * without a terminal, in a pipe, and with a screen reader.
 */
import type { ApiClient, ApiConnection } from "../../../client/objects/api.ts";
import { createObjectStore } from "../../../client/objects/object_store.ts";
import { isSettled } from "../../../core/approval/recognizers.ts";
import { formatConditionCell } from "../../../core/request/phase.ts";
import { isAppError } from "../../../core/errors.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import { certificateSigningRequestKind } from "../../../core/kube/kinds/mod.ts";
import { getCreationMs, getName } from "../../../core/kube/meta.ts";
import type { RequestView } from "../../../core/report/request_view.ts";
import { connect } from "../../connection.ts";
import { createDecision, type CsrDecision, decideOne } from "../../../client/admin/decisions.ts";
import { csrPath, listCsrs } from "../../../client/admin/csrs.ts";
import { readApproverSettings } from "../../../client/admin/published_settings.ts";
import { createRequestViews, type RequestViewRules } from "../../../client/admin/request_views.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { isItemError, reportError } from "../../framework/report.ts";
import type { Tools } from "../../io.ts";
import { createLogger } from "../../logging.ts";
import { capitalize, escapeValue, line } from "../../../core/lib/printable.ts";
import { reportUnsigned } from "./decide.ts";
import type { approveCommand } from "./flags.ts";
import { listMatchingRequests, parseTargets } from "./targets.ts";
import { formatTimeAgo, joinWords } from "../../../core/report/words.ts";
import { createStyle, formatDescription, type Style, wrapWords } from "../../output/layout.ts";
import { formatToken, historyLines, identityLines, requestLines, ruleLines, signerLines } from "./view_text.ts";

/** The name of the command in the conditions of requests. */
const TOOL = "tlsboot approve -i";

const QUESTION = "approve? [y]es / [n]o / [s]kip / [w]hy / [q]uit: ";
const ANSWERS = "answer y to approve, n to deny, s to skip, w to see why the rules decide as they do, or q to quit";
const REASON_QUESTION = "reason of the denial, which is kept in the request (may be empty): ";

/** The minimum width in columns of a terminal on which text is wrapped. */
const MIN_WIDTH = 40;

/** Asks about pending requests, for `tlsboot approve -i`. */
export async function review(input: Input<typeof approveCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { signal } = tools;
  const { settings, args } = input;
  parseTargets(args);
  await using connection = await connect(settings, tools);
  const chosen = await readApproverSettings(connection.api, signal);
  const session = new ReviewSession(connection, { chosen }, tools);
  if (settings.watch) await session.follow(settings, signal);
  else await session.reviewAll(await findPending(connection.api, args, settings, tools), signal);
  return await session.finish(signal);
}

interface Selectors {
  readonly selector: string | undefined;
  readonly fieldSelector: string | undefined;
}

/**
 * Finds the pending requests that are named, or else those that are selected, the oldest first. Reports named requests
 * that are already decided.
 */
async function findPending(
  api: ApiClient,
  args: readonly string[],
  { selector, fieldSelector }: Selectors,
  tools: Tools,
): Promise<readonly CertificateSigningRequest[]> {
  if (args.length === 0) {
    const selectors = { labelSelector: selector, fieldSelector };
    return sortByAge((await listCsrs(api, selectors, tools.signal)).items.filter((csr) => !isSettled(csr)));
  }
  const found = new Map<string, CertificateSigningRequest>();
  for (const arg of args) {
    const matching = await listMatchingRequests(api, arg, tools.signal);
    const pending = matching.filter((csr) => !isSettled(csr));
    for (const csr of pending) found.set(getName(csr), csr);
    for (const csr of pending.length === 0 ? matching : []) {
      tools.stderr.write(line`${getName(csr)} is not pending: ${formatConditionCell(csr)}\n`);
    }
  }
  return [...found.values()];
}

function sortByAge(csrs: readonly CertificateSigningRequest[]): readonly CertificateSigningRequest[] {
  return csrs.toSorted((a, b) => getCreationMs(a) - getCreationMs(b));
}

type Outcome = "approved" | "denied" | "skipped" | "failed" | "gone" | "quit";

/** The questions and answers of one run, and their results. */
class ReviewSession {
  readonly #connection: ApiConnection;
  readonly #rules: RequestViewRules;
  readonly #tools: Tools;
  readonly #counts = new Map<Outcome, number>();
  readonly #approved: string[] = [];
  #left = 0;

  constructor(connection: ApiConnection, rules: RequestViewRules, tools: Tools) {
    this.#connection = connection;
    this.#rules = rules;
    this.#tools = tools;
  }

  /** Reviews the requests in their order, until the user quits. */
  async reviewAll(csrs: readonly CertificateSigningRequest[], signal: AbortSignal): Promise<void> {
    for (const [index, csr] of csrs.entries()) {
      if (await this.#review(csr, `Request ${index + 1} of ${csrs.length}`, signal) !== "quit") continue;
      this.#left = csrs.length - index;
      return;
    }
  }

  /** Reviews the pending requests, then each new one as it arrives, until the user quits. */
  async follow({ selector, fieldSelector }: Selectors, signal: AbortSignal): Promise<void> {
    const { clock, random, stderr } = this.#tools;
    const logger = createLogger({ stderr, clock, level: "warn" });
    const store = createObjectStore<CertificateSigningRequest>(
      this.#connection.transport,
      certificateSigningRequestKind,
      {
        clock,
        random,
        logger,
        labelSelector: selector,
        fieldSelector,
        onFailure(error) {
          if (error.code === "access_denied" || error.code === "unauthorized") throw error;
          logger.warn("the requests cannot be watched, trying again", { error: error.message });
        },
      },
    );
    const seen = new Set<string>();
    const first = new Map<string, CertificateSigningRequest>();
    let isSynced = false;
    let count = 0;
    const review = async (csr: CertificateSigningRequest): Promise<boolean> => {
      const { uid = "" } = csr.metadata;
      if (isSettled(csr) || seen.has(uid)) return true;
      seen.add(uid);
      return await this.#review(csr, `Request ${++count}`, signal) !== "quit";
    };
    for await (const change of store.changes(signal)) {
      if (change.kind === "synced") {
        if (isSynced) continue;
        isSynced = true;
        for (const csr of sortByAge([...first.values()])) if (!await review(csr)) return;
        stderr.write("waiting for requests; stop with Ctrl-C\n");
      } else if (!isSynced) {
        if (change.kind === "changed") first.set(getName(change.object), change.object);
      } else if (change.kind === "changed" && !await review(change.object)) return;
    }
  }

  /** Reports the results, and the approved requests that have no certificate. */
  async finish(signal: AbortSignal): Promise<ExitCode> {
    const parts = (["approved", "denied", "skipped", "failed"] as const)
      .map((outcome) => [this.#counts.get(outcome) ?? 0, outcome] as const)
      .filter(([count]) => count > 0).map(([count, outcome]) => `${count} ${outcome}`);
    if (this.#left > 0) parts.push(`${this.#left} not reviewed`);
    if (this.#counts.size === 0) this.#tools.stderr.write("No pending requests\n");
    else if (parts.length > 0) this.#tools.stdout.write(`${parts.join(", ")}\n`);
    await reportUnsigned(this.#connection.api, this.#approved, this.#tools, signal);
    return this.#counts.has("failed") ? EXIT.failed : EXIT.done;
  }

  async #review(listed: CertificateSigningRequest, heading: string, signal: AbortSignal): Promise<Outcome> {
    const outcome = await this.#ask(listed, heading, signal);
    this.#counts.set(outcome, (this.#counts.get(outcome) ?? 0) + 1);
    if (outcome === "approved") this.#approved.push(getName(listed));
    if (outcome === "approved" || outcome === "denied") {
      this.#tools.stdout.write(line`${outcome}: ${getName(listed)}\n\n`);
    }
    return outcome;
  }

  /** Shows one request and asks about it. A request that changes before the decision is shown again. */
  async #ask(listed: CertificateSigningRequest, heading: string, signal: AbortSignal): Promise<Outcome> {
    for (;;) {
      try {
        const csr = await this.#readPending(listed, signal);
        if (csr === undefined) return "gone";
        const view = await createRequestViews(this.#connection, this.#rules, this.#tools).view(csr, signal);
        this.#show(view, heading);
        const answer = await this.#readAnswer(view, signal);
        if (typeof answer === "string") return answer;
        const { api } = this.#connection;
        const { uid, resourceVersion } = view;
        await decideOne(api, view.name, answer.decision, this.#tools, signal, { uid, resourceVersion });
        return answer.outcome;
      } catch (error) {
        signal.throwIfAborted();
        if (!isItemError(error)) throw error;
        reportError(error, this.#tools, this.#tools.isDebug);
        if (error.code !== "conflict") return "failed";
      }
    }
  }

  /** Reads the current state of a request. Prints why and returns undefined when there is nothing left to decide. */
  async #readPending(
    listed: CertificateSigningRequest,
    signal: AbortSignal,
  ): Promise<CertificateSigningRequest | undefined> {
    const name = getName(listed);
    try {
      const path = csrPath(name);
      const csr = await this.#connection.api.requestObject<CertificateSigningRequest>({ method: "GET", path }, signal);
      if (csr.metadata.uid === listed.metadata.uid && !isSettled(csr)) return csr;
      const why = isSettled(csr) ? `is no longer pending: ${formatConditionCell(csr)}` : "was deleted and made again";
      this.#tools.stderr.write(line`${name} ${why}\n`);
    } catch (error) {
      if (!isAppError(error, "not_found")) throw error;
      this.#tools.stderr.write(line`${name} was deleted\n`);
    }
    return undefined;
  }

  #show(view: RequestView, heading: string): void {
    const { stdout, env, clock } = this.#tools;
    // A terminal that does not know its size reports 0, and text in very few columns cannot be read.
    const width = (stdout.columns ?? 0) < MIN_WIDTH ? undefined : stdout.columns;
    stdout.write(formatReview(view, { heading, width, style: createStyle(stdout, env), now: clock.now() }));
  }

  async #readAnswer(
    view: RequestView,
    signal: AbortSignal,
  ): Promise<"skipped" | "quit" | { readonly decision: CsrDecision; readonly outcome: "approved" | "denied" }> {
    const { api } = this.#connection;
    for (;;) {
      const answer = await this.#prompt(QUESTION, signal);
      switch (answer?.trim().toLowerCase()) {
        case "y":
        case "yes":
          return { decision: await createDecision("approve", api, TOOL, signal), outcome: "approved" };
        case "n":
        case "no": {
          const reason = await this.#prompt(REASON_QUESTION, signal);
          // A pipe may end after its last answer; a person who presses Ctrl-D takes the denial back.
          if (reason === undefined && this.#tools.stdin.isTerminal) continue;
          const message = reason?.trim() ?? "";
          const decision = await createDecision("deny", api, TOOL, signal, message === "" ? {} : { message });
          return { decision, outcome: "denied" };
        }
        case "s":
        case "skip":
          return "skipped";
        case "w":
        case "why":
          this.#tools.stdout.write(formatWhy(view, this.#tools.clock.now()));
          continue;
        case "q":
        case "quit":
        case undefined:
          return "quit";
        default:
          this.#tools.stdout.write(`${ANSWERS}\n`);
      }
    }
  }

  /** Asks a question. An answer from a pipe is echoed, so that the output has both. */
  async #prompt(question: string, signal: AbortSignal): Promise<string | undefined> {
    const { stdin, stdout } = this.#tools;
    stdout.write(question);
    const answer = await stdin.readLine(signal);
    if (!stdin.isTerminal || answer === undefined) stdout.write(line`${answer ?? ""}\n`);
    return answer;
  }
}

interface ReviewLayout {
  /** The heading, such as `Request 1 of 3`. */
  readonly heading: string;
  /** The width of the terminal; undefined where text is not wrapped, as for a pipe. */
  readonly width: number | undefined;
  readonly style: Style;
  readonly now: Date;
}

const TITLE_WIDTH = 12;

/**
 * Formats a request: its sentence, the warnings, the rights of the certificate's holder, the facts, and the verdict of
 * the rules.
 */
function formatReview(view: RequestView, { heading, width = Infinity, style, now }: ReviewLayout): string {
  const age = view.createdAt === undefined ? "" : `, ${formatTimeAgo(now.getTime() - Date.parse(view.createdAt))}`;
  const wrap = (text: string, indent = ""): readonly string[] => wrapWords(escapeValue(text), width, indent);
  const formatRow = ([title, value]: Row): readonly string[] => {
    const [first = "", ...more] = wrap(value, " ".repeat(TITLE_WIDTH));
    return [`${`${title}:`.padEnd(TITLE_WIDTH)}${first.trimStart()}`, ...more];
  };
  const sentence = `${capitalize(view.sentence)}.`;
  const lines = [
    ...wrap(`${heading}: ${view.name}${age}`),
    "",
    ...wrap(sentence).map(style.bold),
    ...(view.warnings.length === 0
      ? []
      : ["", ...view.warnings.flatMap((text) => wrap(`Warning: ${text}.`)).map(style.yellow)]),
    "",
    ...listFacts(view, now).flatMap(formatRow),
    "",
  ];
  return `${lines.join("\n")}\n`;
}

type Row = readonly [title: string, value: string];

/** Lists the facts on which most decisions depend. A fact that is unknown or does not apply has no row. */
function listFacts(view: RequestView, now: Date): readonly Row[] {
  const { requested, requester, verdict, unsigned } = view;
  const names = [...requested.dnsNames, ...requested.ipAddresses, ...requested.uris, ...requested.emails];
  const program = requester.userAgent === undefined ? "" : `, with ${requester.userAgent}`;
  const groups = requester.groups.length === 0 ? "" : ` (${requester.groups.join(", ")})`;
  const isReadable = requested.unreadable === undefined;
  return [
    ...(isReadable ? [row("Subject", requested.subject || "none")] : []),
    ...(names.length === 0 ? [] : [row("Names", names.join(", "))]),
    row("Signer", requested.signerName),
    row("Requester", `${requester.user || "none"}${groups}`),
    ...(requester.address === undefined ? [] : [row("From", `${requester.address}${program}`)]),
    ...(requester.token === undefined ? [] : [row("Token", formatToken(requester.token, now))]),
    row("Usages", requested.usages.join(", ") || "none"),
    ...(isReadable ? [row("Key", `${requested.key}, SHA-256 ${requested.keyFingerprint}`)] : []),
    ...describeLast(view),
    ...(view.others ?? []).map(({ name, shares, sameKey }) =>
      row("Also open", `${name}, for ${shares}, with ${sameKey ? "the same key" : "another key"}`)
    ),
    ...view.allows.map((text) => row("Allows to", text)),
    ...(verdict === undefined ? [] : [row("Rules", verdict.text)]),
    ...(unsigned === undefined ? [] : [row("No signer", unsigned)]),
  ];
}

function row(title: string, value: string): Row {
  return [title, value];
}

function describeLast({ lastCertificate, difference = [] }: RequestView): readonly Row[] {
  if (lastCertificate === undefined) return [];
  const { state, notAfter, requestedBy, address } = lastCertificate;
  const until = notAfter === undefined ? "" : `, until ${notAfter}`;
  const by = requestedBy === undefined ? "" : `, requested by ${requestedBy}`;
  const from = address === undefined ? "" : ` from ${address}`;
  const changed = joinWords(difference.map(({ what }) => what));
  return [
    row("Last", `${state}${until}${by}${from}; ${changed === "" ? "nothing differs" : `different now: ${changed}`}`),
  ];
}

/** Formats the rules with their evidence, what would change the verdict, and all that the short text leaves out. */
function formatWhy(view: RequestView, now: Date): string {
  const sections = [
    view.requested.unreadable === undefined ? [...identityLines(view), "", ...requestLines(view, now)] : [],
    historyLines(view),
    ruleLines(view),
    signerLines(view),
  ].filter((lines) => lines.length > 0);
  const lines = sections.flatMap((section) => ["", ...section]);
  return `${formatDescription(lines)}\n\n`;
}

/**
 * Revokes certificates, nodes, users, groups and bootstrap tokens, takes revocations back, and lists them. On a server
 * without revocations, such as kube-apiserver, pending requests are denied and tokens deleted.
 */
import { AppError } from "../../../core/errors.ts";
import type { getRevocationsCommand, revokeCommand, unrevokeCommand } from "./flags.ts";
import { connect } from "../../connection.ts";
import {
  carryOutRevocation,
  parseTypedTarget,
  servesRevocations,
  takeBackRevocation,
  type TypedTarget,
} from "../../../client/admin/revocations.ts";
import { canAsk, confirm } from "../../terminal.ts";
import { EXIT, type ExitCode, UsageError } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { forEachItem, reportError } from "../../framework/report.ts";
import type { Tools } from "../../io.ts";
import { line } from "../../../core/lib/printable.ts";
import { alignTabs, TABLE_TABS } from "../../output/layout.ts";
import { RevocationPlanner } from "../../../client/admin/revocation_plan.ts";
import {
  describeDone,
  describeNextSteps,
  describePlan,
  describeTokenUses,
  type RevocationPlan,
} from "../../../core/report/revocation_text.ts";
import { type ApiClient, type ApiConnection, listAll } from "../../../client/objects/api.ts";
import { findLeafCertificate } from "../../../core/request/issued_certificate.ts";
import { getCsrPhase } from "../../../core/request/phase.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import { formatTime, getName } from "../../../core/kube/meta.ts";
import { formatName } from "../../../core/pki/x509/names.ts";
import { CSR_COLLECTION, getCsrByName } from "../../../client/admin/csrs.ts";
import { tokenPath } from "../../../client/admin/tokens.ts";
import { createDecision, decideOne } from "../../../client/admin/decisions.ts";
import { parseSerialNumber, type RevocationTarget } from "../../../core/revocation/revocation.ts";
import { createApiSource, findReferences } from "../../../client/admin/record_source.ts";
import { revocationKind } from "../../../core/kube/kinds/mod.ts";
import { explainMissingGroup } from "../../../client/admin/records.ts";
import { showObjects } from "../../output/show_objects.ts";

type Settings = Input<typeof revokeCommand.flags>["settings"];

export async function runRevoke(input: Input<typeof revokeCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { signal } = tools;
  const { args, settings } = input;
  const targets = args.map(parseTypedTarget);
  const hasToken = targets.some((item) => item.kind === "named" && item.target.kind === "token");
  if (settings.certificates && !hasToken) throw new UsageError("--certificates needs token/ID");
  await using connection = await connect(settings, tools);
  if (!await servesRevocations(connection.api, signal)) {
    return await revokeElsewhere(targets, connection, input, tools);
  }
  const planned = await new RevocationPlanner(connection, settings, tools.clock.now()).plan(targets, signal);
  const mayAsk = !settings.yes && canAsk(tools);
  const checked = settings.yes || mayAsk ? planned : planned.map(refuseUnconfirmed);
  const failures = checked.filter((item) => item instanceof AppError);
  const plans = checked.filter((item): item is RevocationPlan => !(item instanceof AppError));
  for (const failure of failures) reportError(failure, tools, tools.isDebug);
  if (plans.length === 0) return EXIT.failed;
  if (mayAsk && !await isConfirmed(plans, tools)) {
    tools.stderr.write("nothing is revoked\n");
    return EXIT.no;
  }
  const byText = new Map(plans.map((plan) => [plan.text, plan]));
  const code = await forEachItem(byText.values(), (plan) => revokeOne(plan, connection, settings, tools), tools);
  return failures.length > 0 ? EXIT.failed : code;
}

/**
 * Without a confirmation, refuses to revoke the command's own credential, and targets that neither the register nor the
 * server knows.
 */
function refuseUnconfirmed(plan: RevocationPlan | AppError): RevocationPlan | AppError {
  if (plan instanceof AppError || plan.kind === "deny") return plan;
  if (plan.isOwn) {
    return new AppError("invalid", `cannot revoke "${plan.text}": this command uses a credential that it covers`, {
      hint: "with --yes it is revoked, and you need another administrator's kubeconfig from then on",
    });
  }
  if (!plan.isUnknown) return plan;
  const isServiceAccount = plan.text.startsWith("user/system:serviceaccount:");
  return new AppError("not_found", `cannot revoke "${plan.text}": the register has no certificate for it`, {
    hint: isServiceAccount
      ? "a service account has tokens instead: with --yes they are refused, as long as it is revoked"
      : "check the spelling with: tlsboot get certificates; with --yes it is revoked anyway",
  });
}

/** Shows the plans on the terminal, and asks whether to carry them out. */
async function isConfirmed(plans: readonly RevocationPlan[], tools: Tools): Promise<boolean> {
  for (const plan of plans) for (const text of describePlan(plan, tools.clock.now())) tools.stderr.write(`${text}\n`);
  return await confirm(plans.length === 1 ? "Revoke it?" : "Revoke them?", tools);
}

async function revokeOne(
  plan: RevocationPlan,
  { api }: ApiConnection,
  settings: Settings,
  tools: Tools,
): Promise<void> {
  if (plan.kind === "deny") return await denyPending(plan, api, settings.message, tools);
  const now = tools.clock.now();
  const { isTokenDeleted, failure } = await carryOutRevocation(plan, api, tools.signal);
  if (failure !== undefined) tools.stderr.write(line`${failure}\n`);
  tools.stdout.write(`${describeDone(plan, isTokenDeleted, now)}\n`);
  const uses = describeTokenUses(plan, now);
  if (uses.length > 0) tools.stdout.write(`${alignTabs(uses.join("\n"), TABLE_TABS)}\n`);
  for (const step of describeNextSteps(plan, now)) tools.stderr.write(`${step}\n`);
}

/** Denies pending requests and deletes tokens. For every other target it reports an alternative. */
async function revokeElsewhere(
  targets: readonly TypedTarget[],
  connection: ApiConnection,
  { settings }: Input<typeof revokeCommand.flags>,
  tools: Tools,
): Promise<ExitCode> {
  if (!settings.yes && canAsk(tools)) {
    tools.stderr.write("this server has no revocations: only pending requests can be denied, and tokens deleted\n");
    const texts = targets.map(({ text }) => text).join(", ");
    if (!await confirm(line`Revoke ${texts} as far as possible?`, tools)) return EXIT.no;
  }
  return await forEachItem(targets, async (target) => {
    const { text } = target;
    if (target.kind === "csr") await denyElsewhere(text, target.name, connection, settings.message, tools);
    else if (target.kind === "named" && target.target.kind === "token") {
      await deleteTokenElsewhere(text, target.target.value, connection, tools);
    } else throw createUnsupportedError(text);
  }, tools);
}

async function denyElsewhere(
  text: string,
  name: string,
  { api }: ApiConnection,
  message: string | undefined,
  tools: Tools,
): Promise<void> {
  const csr = await getCsrByName(api, name, tools.signal);
  if (getCsrPhase(csr).kind !== "pending") throw createUnsupportedError(text);
  await denyPending({ text, name: getName(csr), uid: csr.metadata.uid }, api, message, tools);
}

/** Deletes a token, and lists its remaining requests with the expiration of their certificates. */
async function deleteTokenElsewhere(text: string, id: string, { api }: ApiConnection, tools: Tools): Promise<void> {
  await api.requestJson({ method: "DELETE", path: tokenPath(id) }, tools.signal);
  tools.stdout.write(line`${text} deleted\n`);
  const { items } = await listAll<CertificateSigningRequest>(api, CSR_COLLECTION, {}, tools.signal);
  for (const csr of items.filter(({ spec }) => spec.username === `system:bootstrap:${id}`)) {
    const leaf = findLeafCertificate(csr.status.certificate ?? "");
    const got = leaf === undefined
      ? "has no certificate"
      : `got ${formatName(leaf.subject)}, valid until ${formatTime(leaf.notAfter)}`;
    tools.stdout.write(line`request ${getName(csr)} of this token ${got}\n`);
  }
}

function createUnsupportedError(text: string): AppError {
  const why =
    "the server has no revocations. An API server such as kube-apiserver reads no CRL and accepts a client certificate " +
    "until it expires";
  return new AppError("invalid", `cannot revoke "${text}": ${why}`, {
    hint: "delete the role bindings of the user or the Node of the machine, deny renewals with a policy of " +
      "tlsboot approver, and for programs that read a CRL use tlsboot ca crl --revoke: see tlsboot guide " +
      "existing_cluster",
  });
}

/** Denies a request as the user of the connection. With `uid`, a later object of the same name is not denied. */
async function denyPending(
  { text, name, uid }: { readonly text: string; readonly name: string; readonly uid: string | undefined },
  api: ApiClient,
  message: string | undefined,
  tools: Tools,
): Promise<void> {
  const decision = await createDecision("deny", api, "tlsboot revoke", tools.signal, { reason: "Revoked", message });
  await decideOne(api, name, decision, tools, tools.signal, { uid });
  tools.stdout.write(line`${text} denied: it was pending, so it has no certificate\n`);
}

export async function runUnrevoke(input: Input<typeof unrevokeCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { signal } = tools;
  const targets = new Map(input.args.map((text) => [text, parseRevoked(text)]));
  await using connection = await connect(input.settings, tools);
  return await forEachItem(targets, async ([text, typed]) => {
    const target = await findTarget(typed, connection, signal);
    const count = await takeBackRevocation(text, target, connection.api, tools.clock.now(), signal);
    const again = count === 1 ? "1 certificate works again" : `${count} certificates work again`;
    tools.stdout.write(line`${text} is no longer revoked: ${again}\n`);
    if (target.kind === "token") {
      tools.stderr.write("a deleted token does not come back; make another one with: tlsboot token create\n");
    }
  }, tools);
}

function parseRevoked(text: string): TypedTarget {
  const target = parseTypedTarget(text);
  if (target.kind !== "csr") return target;
  throw new UsageError(`cannot use "${text}": give the serial number of its certificate`);
}

/** Completes the beginning of a serial number. */
async function findTarget(
  typed: TypedTarget,
  { api }: ApiConnection,
  signal: AbortSignal,
): Promise<RevocationTarget> {
  if (typed.kind === "named") return typed.target;
  const { text } = typed;
  const [found] = await findReferences(createApiSource(api), [text], signal);
  if (found !== undefined && !(found instanceof AppError)) {
    return { kind: "serial", value: found.spec.serialNumber ?? "" };
  }
  // A certificate that the register does not know may be revoked too.
  const serial = parseSerialNumber(text.replace(/^.*[/=]/, ""));
  if (found?.code === "not_found" && serial.ok) return { kind: "serial", value: serial.value };
  throw found ?? new AppError("not_found", `cannot find certificate "${text}"`);
}

export async function runGet(input: Input<typeof getRevocationsCommand.flags>, tools: Tools): Promise<ExitCode> {
  const names = input.args.map((text) => text.replace(/^revocations?(\.tlsboot)?\//, ""));
  return await explainMissingGroup(() => showObjects({ kind: revocationKind, names }, input, tools));
}
